from fastapi import FastAPI

app = FastAPI()


@app.get("/_healthz")
def healthy() -> str:
    return "ok"
