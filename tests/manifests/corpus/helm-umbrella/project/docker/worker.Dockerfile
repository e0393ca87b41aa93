FROM python:3.13
COPY store /app/store
WORKDIR /app
ENTRYPOINT ["python3", "-m", "store.worker"]
