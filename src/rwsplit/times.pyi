from datetime import date, datetime, time, timedelta
from datetime import date as Date
from datetime import datetime as Timestamp
from datetime import time as Time
from datetime import timedelta as TimeDelta

__all__ = [
    "Date",
    "DateFromTicks",
    "Time",
    "TimeDelta",
    "TimeFromTicks",
    "Timestamp",
    "TimestampFromTicks",
    "date",
    "datetime",
    "time",
    "timedelta",
]

def DateFromTicks(ticks: float | None) -> date: ...
def TimeFromTicks(ticks: float | None) -> time: ...
def TimestampFromTicks(ticks: float | None) -> datetime: ...
