"""`python -m flynn` is the command `flynn`."""

from flynn.cli import main

if __name__ == "__main__":
    main()
