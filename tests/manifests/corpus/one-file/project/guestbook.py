from flask import Flask

app = Flask(__name__)


@app.get("/")
def entries() -> str:
    return "no entries yet"
