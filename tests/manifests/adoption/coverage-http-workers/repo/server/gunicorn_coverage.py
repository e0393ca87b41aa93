"""What gunicorn does with coverage when workers come and go."""


def post_fork(server, worker):
    server.log.info("worker %s", worker.pid)


def worker_exit(server, worker):
    import coverage

    current = coverage.Coverage.current()
    if current:
        current.stop()
        current.save()
        server.log.info("coverage of worker %s saved", worker.pid)
