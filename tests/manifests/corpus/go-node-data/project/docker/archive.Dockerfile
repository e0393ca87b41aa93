FROM golang:1.24 AS builder
ARG GOFLAGS=""
WORKDIR /opt/src
COPY . .
RUN if [ "${GOFLAGS}" = "-cover" ]; then \
      CGO_ENABLED=0 GOFLAGS=${GOFLAGS} go build -o archive ./cmd/archive/main.go; \
    else \
      CGO_ENABLED=0 go build -ldflags="-s -w" -o archive ./cmd/archive/main.go; \
    fi

FROM registry.access.redhat.com/ubi9/ubi-minimal:latest
WORKDIR /opt
COPY --from=builder /opt/src/archive /usr/local/bin/archive
USER 1001
ENTRYPOINT ["/usr/local/bin/archive"]
