# A comment, and no line end at the last line.
value = 1
if value:
    value = (
        2
    )