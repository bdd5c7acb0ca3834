# Tells git the token of a grid (gitcredentials(7)), in the shell that git begins for that: $1 is the URL of the grid's
# API, the rest the command that knows all cases. Here is the plain one, as git asks at each push and a shell answers in
# a tenth of the time that Python takes: `client.json` is as `directory.py` writes it, or there is none.
while IFS= read -r line && test "$line"; do :; done
url=$1
shift
data=$FLYNN_DATA
if test "$data"; then :
elif test "$(id -u)" = 0; then data=/var/lib/flynn
elif test "$XDG_DATA_HOME$HOME"; then data=${XDG_DATA_HOME:-$HOME/.local/share}/flynn
else exec "$@"
fi
said=
token=
if test ! -e "$data/client.json"; then
    token=$FLYNN_TOKEN
elif test -r "$data/client.json"; then
    IFS= read -r said < "$data/client.json"
    head="{\"url\": \"$url\", \"token\": \""
    case $said in
        "$head"*'"}') said=${said#"$head"}; token=${said%'"}'} ;;
    esac
fi
case $token in
    '' | *[!A-Za-z0-9_-]*) exec "$@" ;;
esac
printf 'username=flynn\npassword=%s\n' "$token"
