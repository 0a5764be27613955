# The image of Evergate: one static binary and the CA roots, nothing else. Without a shell, a package manager
# or a libc there is nothing to patch but Evergate itself, and nothing for an intruder to use.
# How to run it: docs/containers/container.md. What it promises is tested in test/container.

# The image that compiles. An argument, so that a mirror or a locally built image can stand in for it.
# It has the Go of go.mod's toolchain line, which these images do not fetch themselves (GOTOOLCHAIN=local); test/supply
# holds the two together, and a job says when there is a newer one. A tag can be moved. Who must not trust it gives the
# digest, which `docker buildx imagetools inspect golang:1.27.4 --format '{{.Manifest.Digest}}'` prints:
# --build-arg GO_IMAGE=golang:1.27.4@sha256:…
ARG GO_IMAGE=golang:1.27.4

# BUILDPLATFORM: the compiler runs on the builder's own processor and cross-compiles; emulating the target
# would be many times slower.
FROM --platform=$BUILDPLATFORM ${GO_IMAGE} AS build
WORKDIR /src

# The modules change rarely, the source with every build: fetched before the source is copied, they stay in a
# cached layer.
COPY go.mod go.sum ./
RUN go mod download

COPY . .
ARG TARGETOS
ARG TARGETARCH
ARG VERSION=dev
ARG COMMIT=unknown
# CGO_ENABLED=0: the final stage has no libc. -trimpath: the same source gives the same binary, wherever it is
# built. -s -w: no symbol table; stack traces keep their names and lines without it.
# /out/data is the empty directory that becomes /data below: a stage without a shell cannot create one.
RUN --mount=type=cache,target=/root/.cache/go-build \
    mkdir -p /out/data && \
    CGO_ENABLED=0 GOCACHE=/root/.cache/go-build GOOS=$TARGETOS GOARCH=$TARGETARCH \
    go build -trimpath -buildvcs=false -ldflags "-s -w -X main.version=$VERSION -X main.commit=$COMMIT" \
    -o /out/evergate ./cmd/proxy

FROM scratch

# To verify Shopify's certificate. More roots: EVERGATE_UPSTREAM_CA_FILE.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt

# The one place that may be written to, and only when a volume is mounted there: a stored grant rests here. It
# belongs to the user below, and a new named volume takes that ownership over.
COPY --from=build --chown=65532:65532 /out/data /data
ENV HOME=/data

COPY --from=build /out/evergate /evergate

# A number, not a name: there is no /etc/passwd to look a name up in, and Kubernetes' runAsNonRoot can only
# judge a number.
USER 65532:65532

# 8080 takes the calls, 9090 has health and metrics. Both listen on the container's own loopback unless told
# otherwise, so EXPOSE opens nothing: it says what the ports are for.
EXPOSE 8080 9090

# Evergate drains on SIGTERM and then exits 0.
STOPSIGNAL SIGTERM

# /livez: it says that the process works and never depends on Shopify, so Shopify's bad day restarts nothing.
# In exec form, because there is no shell. It reads the same settings as the sidecar and so finds its port. It gives
# up after 5 seconds and says why: before it would be killed without a word.
HEALTHCHECK --interval=10s --timeout=6s --start-period=5s --retries=3 CMD ["/evergate", "healthcheck"]

# Sub-commands follow it: `docker run IMAGE version`.
ENTRYPOINT ["/evergate"]

# Last, because they change with each commit and would invalidate the layers after them.
ARG VERSION=dev
ARG COMMIT=unknown
# When the source was written, not when it was built: the same source gives the same image.
ARG CREATED=1970-01-01T00:00:00Z
ARG SOURCE=
LABEL org.opencontainers.image.title="Evergate" \
      org.opencontainers.image.description="Authenticating reverse-proxy sidecar for the Shopify Admin API" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.source="$SOURCE" \
      org.opencontainers.image.created="$CREATED" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$COMMIT"
