FROM python:3.13-slim
WORKDIR /srv
COPY requirements.txt .
RUN pip install -r requirements.txt
COPY acronyms acronyms
CMD ["uvicorn", "acronyms.api:app", "--reload"]
