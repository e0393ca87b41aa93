FROM golang:1.23 AS build
ARG GOFLAGS=""
WORKDIR /src
COPY . .
RUN if [ "${GOFLAGS}" = "-cover" ]; then \
      CGO_ENABLED=0 GOFLAGS=${GOFLAGS} go build -o /ledger ./cmd/ledger; \
    else \
      CGO_ENABLED=0 go build -ldflags='-s -w' -o /ledger ./cmd/ledger; \
    fi

FROM scratch
COPY --from=build /ledger /ledger
ENTRYPOINT ["/ledger"]
