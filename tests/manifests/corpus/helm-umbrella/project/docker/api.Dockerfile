FROM python:3.13
COPY store /app/store
WORKDIR /app
ENTRYPOINT ["/usr/bin/tini", "--"]
CMD ["gunicorn", "store.api:app"]
