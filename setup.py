"""The package, and what Beam's ``--setup_file`` ships to remote workers."""

from pathlib import Path

from setuptools import find_packages, setup

#: The top level folders; what is in them comes along.
PACKAGES = ("command_line", "pages", "pipelines", "schemas", "simulators", "sinks", "sources", "storage", "transforms")
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
#: Notebooks: the kernel, and charts. Beam's own interactive parts, which need pandas, are not used.
NOTEBOOK = [
    *PLOT,
    "ipykernel>=6.29",
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
#: Beam YAML beside our transforms: Beam's own extra. It is not in ``all``, for it has pandas, which Beam imports
#: wherever it is: every run would begin later.
YAML = [
    "apache-beam[yaml]>=2.77,<2.78",
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
#: How a run is doing, as Prometheus reads it: the library that its makers keep, which has no dependencies.
METRICS = [
    "prometheus-client>=0.21",
]
#: The live page (docs/architecture.md says what it was weighed against).
PAGE = [
    *METRICS,  # which tell of running jobs
    "starlette>=1.0",
    "uvicorn>=0.40",
]
#: Everything that somebody may want, but for what is tested and measured with.
ALL = [*POSTGRESQL, *NAMES, *NOTEBOOK, *SKETCHES, *REGISTRY, *MSK, *S3, *PAGE]

setup(
    name="transaction-streams",
    version="0.2.0",
    description="Streams of transactions on Apache Beam: exact, fast, and accounted for to the last record",
    long_description=(Path(__file__).parent / "README.md").read_text("utf-8"),
    long_description_content_type="text/markdown",
    license_expression="Apache-2.0",
    license_files=["LICENSE"],
    keywords=["apache-beam", "streaming", "polars", "kafka", "windows", "exactly-once"],
    classifiers=[
        "Development Status :: 4 - Beta",
        "Environment :: Console",
        "Intended Audience :: Developers",
        "Intended Audience :: Education",
        "Operating System :: POSIX",
        "Programming Language :: Python :: 3",
        *(f"Programming Language :: Python :: 3.{minor}" for minor in range(10, 14)),
        "Topic :: System :: Distributed Computing",
        "Typing :: Typed",
    ],
    entry_points={"console_scripts": ["transaction-streams = command_line.main:main"]},
    python_requires=">=3.10",
    packages=find_packages(include=[f"{name}*" for name in PACKAGES]),
    package_data={name: ["py.typed", "static/*", "static/*/*"] for name in PACKAGES},
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
        "notebook": NOTEBOOK,
        "sketches": SKETCHES,
        "kafka": KAFKA,
        "registry": REGISTRY,
        "msk": MSK,
        "s3": S3,
        "gs": OBJECTS,
        "azure": OBJECTS,
        "yaml": YAML,
        "metrics": METRICS,
        "page": PAGE,
        "all": ALL,
    },
)
