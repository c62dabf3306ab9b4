# The agent as a container: Debian's C library and the .deb, nothing else. Build the package first:
#   npm run package -- --target linux-x64 --program agent --format deb
#   docker build -f packaging/container/agent.Dockerfile -t skerry-agent packaging
FROM debian:bookworm-slim
ARG TARGETARCH=amd64
COPY out/packages/skerry-agent_*_${TARGETARCH}.deb /tmp/skerry-agent.deb
RUN apt-get update \
 && apt-get install -y --no-install-recommends /tmp/skerry-agent.deb ca-certificates \
 && rm -rf /tmp/skerry-agent.deb /var/lib/apt/lists/*
COPY container/agent-entrypoint.sh /usr/local/bin/agent-entrypoint
ENV SKERRY_AGENT_DATA=/var/lib/skerry-agent SKERRY_AGENT_HTTP_HOST=0.0.0.0 SKERRY_AGENT_HTTP_PORT=8080
VOLUME /var/lib/skerry-agent
EXPOSE 8080
USER skerry-agent
ENTRYPOINT ["/usr/local/bin/agent-entrypoint"]
