"""The router, measured beside nginx, HAProxy, Caddy and Traefik: `make bench-router`."""
