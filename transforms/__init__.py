"""Columnar PTransforms: parse, filter, split off the late, aggregate, fold, give rows; the names that others use."""

from schemas.elements import quiet_beam  # noqa: F401 - before anything else imports Beam
from transforms.aggregate.aggregate import Aggregate
from transforms.aggregate.aggregations import (
    Aggregation,
    Count,
    CountDistinct,
    First,
    Last,
    Max,
    Mean,
    Min,
    Sum,
    TopN,
    Value,
    expression,
)
from transforms.aggregate.combine import FrameCombine
from transforms.aggregate.distinct import CountDistinctAbout, CountDistinctAddresses
from transforms.aggregate.over_time import AggregateOverTime
from transforms.counting import CountUsed
from transforms.deduplicate import Deduplicate
from transforms.filter import KeepRows
from transforms.from_rows import FromRows
from transforms.join_table import JoinTable
from transforms.late import SplitLate
from transforms.parse.access_log import ParseAccessLog
from transforms.parse.delimited import ParseDelimited
from transforms.parse.json_lines import ParseJson
from transforms.parse.parser import parse_as
from transforms.rank import Rank, Ranking
from transforms.reject_unknown import RejectUnknown
from transforms.rows import ToArrow, ToBeamRows, ToRows
from transforms.share_of_total import AddShare
from transforms.split_by_type import SplitByType, TypeRules
from transforms.time_sorted.fold import Fold, FoldOutput
from transforms.time_sorted.fold_time_sorted import FoldTimeSorted
from transforms.untyped.infer_record_type import infer_record_type
from transforms.windows import HOUR, Windows

__all__ = [
    "HOUR",
    "AddShare",
    "Aggregate",
    "AggregateOverTime",
    "Aggregation",
    "Count",
    "CountDistinct",
    "CountDistinctAbout",
    "CountDistinctAddresses",
    "CountUsed",
    "Deduplicate",
    "First",
    "Fold",
    "FoldOutput",
    "FoldTimeSorted",
    "FrameCombine",
    "FromRows",
    "JoinTable",
    "KeepRows",
    "Last",
    "Max",
    "Mean",
    "Min",
    "ParseAccessLog",
    "ParseDelimited",
    "ParseJson",
    "Rank",
    "Ranking",
    "RejectUnknown",
    "SplitByType",
    "SplitLate",
    "Sum",
    "ToArrow",
    "ToBeamRows",
    "ToRows",
    "TopN",
    "TypeRules",
    "Value",
    "Windows",
    "expression",
    "infer_record_type",
    "parse_as",
]
