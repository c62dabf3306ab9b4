# The hub as a container: Debian's C library and the .deb, nothing else. Build the package first:
#   npm run package -- --target linux-x64 --program hub --format deb
#   docker build -f packaging/container/hub.Dockerfile -t skerry-hub packaging
FROM debian:bookworm-slim
ARG TARGETARCH=amd64
COPY out/packages/skerry-hub_*_${TARGETARCH}.deb /tmp/skerry-hub.deb
RUN apt-get update \
 && apt-get install -y --no-install-recommends /tmp/skerry-hub.deb ca-certificates \
 && rm -rf /tmp/skerry-hub.deb /var/lib/apt/lists/*
ENV SKERRY_HUB_DATA=/var/lib/skerry-hub SKERRY_HUB_HTTP_HOST=0.0.0.0 SKERRY_HUB_MQTT_HOST=0.0.0.0
VOLUME /var/lib/skerry-hub
EXPOSE 7480 1883
USER skerry-hub
ENTRYPOINT ["/usr/bin/skerry"]
CMD ["hub", "run"]
