# A gateway in a container: `docker build -t webhook-guard .`
# compose.yaml starts it together with a Redis and an app.

# The base images are named by tags, which their publishers move with each security fix. Pin
# them by the digests of your day where builds have to be the same: docs/packaging.md.
FROM golang:1.26-alpine AS build
WORKDIR /src
# What changes seldom comes first, so that Docker keeps it.
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=
RUN CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags "-s -w -X github.com/webhookguard/caddy-webhook-guard/caddymodule/cli.release=${VERSION}" -o /out/usr/bin/caddy ./cmd/caddy
# The directories that the gateway writes to, empty. They are copied below with their owner.
RUN mkdir -p /out/data /out/config

# Alpine has the certificates of public authorities, and the wget of the health check.
FROM alpine:3.22
COPY --from=build /out/usr/bin/caddy /usr/bin/caddy
COPY --from=build --chown=65532:65532 /out/data /data
COPY --from=build --chown=65532:65532 /out/config /config
COPY Caddyfile /etc/caddy/Caddyfile
# GOGC and GOMEMLIMIT are those of packaging/environment.
ENV XDG_DATA_HOME=/data XDG_CONFIG_HOME=/config GOGC=400 GOMEMLIMIT=384MiB
# No user of the system: whoever breaks out of the gateway owns nothing.
USER 65532:65532
EXPOSE 8080
VOLUME /data
# It asks the admin API, which only the container itself can reach.
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s CMD ["wget", "-q", "-O", "/dev/null", "http://127.0.0.1:2019/metrics"]
# `docker stop` sends SIGTERM, and kills after 10 s: give it as long as the app may work,
# with --time or stop_grace_period.
CMD ["/usr/bin/caddy", "run", "--config", "/etc/caddy/Caddyfile"]
