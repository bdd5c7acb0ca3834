# flynn's daemon in a container. It starts the jobs of its machine through the machine's own Docker Engine:
# docs/operations.md, "In a container", says how it is run, and what it needs.
FROM debian:bookworm-slim

RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates git iptables python3 python3-venv \
 && rm -rf /var/lib/apt/lists/*

COPY . /tmp/flynn
RUN python3 -m venv /opt/flynn \
 && /opt/flynn/bin/pip install --no-cache-dir /tmp/flynn \
 && rm -rf /tmp/flynn \
 && ln -s /opt/flynn/bin/flynn /usr/local/bin/flynn

ENV FLYNN_DATA=/var/lib/flynn
ENTRYPOINT ["flynn"]
CMD ["daemon"]
