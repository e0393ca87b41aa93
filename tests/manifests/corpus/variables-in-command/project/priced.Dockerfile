FROM python:3.13-slim
WORKDIR /app
COPY priced.py .
ENTRYPOINT ["python3", "priced.py"]
CMD ["--currency", "$(USD)", "--sign", "$$"]
