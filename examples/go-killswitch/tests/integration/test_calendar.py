"""Asks the running service; CALENDAR_URL says where it is."""

import os
import unittest
from urllib.error import HTTPError
from urllib.request import urlopen

URL = os.environ.get("CALENDAR_URL", "http://127.0.0.1:8080")


def get(path: str) -> tuple[int, str]:
    try:
        with urlopen(URL + path, timeout=10) as answer:
            return answer.status, answer.read().decode().strip()
    except HTTPError as error:
        with error:
            return error.code, error.read().decode().strip()


class CalendarTest(unittest.TestCase):
    def test_counts_days(self) -> None:
        assert get("/between?from=2026-01-01&to=2027-01-01") == (200, "365")

    def test_its_weeks_begin_on_sundays(self) -> None:
        assert get("/week?of=2026-11-21") == (200, "2026-11-15")

    def test_knows_leap_years(self) -> None:
        assert [get(f"/leap?year={year}")[1] for year in (2000, 2026)] == ["true", "false"]

    def test_needs_dates(self) -> None:
        assert get("/between?from=now&to=then")[0] == 400


if __name__ == "__main__":
    unittest.main()
