"""The same question in other hands, one script each: ``python -m benchmarks.contenders.NAME TAPE FOLDER``.

Daily totals per UPC of what the produce department sold: quantity, the part of it that was weighed, spend, rows, and
the description of the latest row (of several at the same time, the greatest). Each writes one file into FOLDER.
"""
