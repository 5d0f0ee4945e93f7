"""The package, and what Beam's ``--setup_file`` ships to remote workers."""

from setuptools import find_packages, setup

#: The top level folders; what is in them comes along.
PACKAGES = ("command_line", "pipelines", "schemas", "simulators", "sinks", "sources", "storage", "transforms")
POSTGRESQL = [
    "psycopg[binary]>=3.2",
]
#: Names of people, for simulated transfers.
NAMES = [
    "mimesis>=22",
]
#: Charts of credit flow.
PLOT = [
    "matplotlib>=3.9",
]
#: Sketches, for counts of visitors that need not be exact.
SKETCHES = [
    "datasketches>=5.2",
]
#: Reading from Kafka and writing to it; with a schema registry; with the identities of AWS.
KAFKA = [
    "confluent-kafka>=2.13",
]
REGISTRY = [
    "confluent-kafka[schemaregistry]>=2.13",
]
MSK = [
    *KAFKA,
    "aws-msk-iam-sasl-signer-python>=1.0.2",
]
#: Files in object stores, by one client for all three, in one wheel (docs/architecture.md says what it was weighed
#: against); boto3 knows how the profiles of AWS get their credentials.
OBJECTS = [
    "obstore>=0.12",
]
S3 = [
    *OBJECTS,
    "boto3>=1.35",
]
TEST = [
    *POSTGRESQL,
    *NAMES,
    *PLOT,
    *SKETCHES,
    *REGISTRY,
    *MSK,
    *S3,
    "cryptography>=42",
    "ipykernel>=6.29",
    "nbclient>=0.10",
    "hypothesis>=6.130",
    "mypy>=2.4,<2.5",
    "pytest>=9.2",
    "pytest-xdist>=3.8",
    "ruff>=0.17.6,<0.18",
]
#: What the benchmarks compare with. `make bench` puts them into an environment of their own.
BENCH = [
    "bytewax>=0.21.1",
    "confluent-kafka>=2.13",
    "duckdb>=1.4",
    "pandas>=2.2",
    "pathway>=0.33",
    "pyspark>=4.1,<4.3",
    "quixstreams>=3.20",
]

setup(
    name="transaction-streams",
    version="0.1.0",
    description="Streams of transactions, read, reduced and shown by Apache Beam",
    license="Apache-2.0",
    python_requires=">=3.10",
    packages=find_packages(include=[f"{name}*" for name in PACKAGES]),
    package_data={name: ["py.typed"] for name in PACKAGES},
    install_requires=[
        "apache-beam>=2.77,<2.78",
        "fastavro>=1.12",
        "numpy>=2.0",
        "polars>=2.0",
        "pyarrow>=18",
        "rich>=13",
        "sqlalchemy>=2.0.30",
        "tomli>=2.0; python_version < '3.11'",
        "zstandard>=0.23",
    ],
    extras_require={
        "postgresql": POSTGRESQL,
        "names": NAMES,
        "plot": PLOT,
        "sketches": SKETCHES,
        "kafka": KAFKA,
        "registry": REGISTRY,
        "msk": MSK,
        "s3": S3,
        "gs": OBJECTS,
        "azure": OBJECTS,
        "test": TEST,
        "bench": BENCH,
        "dev": [*TEST, "pre-commit>=4.7"],
    },
)
