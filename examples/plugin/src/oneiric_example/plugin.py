"""What this package offers, as data: factories are text, so nothing else is imported."""

from oneiric import Candidate, Plugin

ADAPTERS = Plugin(
    [
        Candidate(
            "adapter:cache",
            "files",
            "oneiric_example.files:FileCache",
            settings_model="oneiric_example.files:FileCacheSettings",
            capabilities=("kv", "ttl", "distributed"),
            priority=30,
        )
    ]
)

SERVICES = Plugin(
    [
        Candidate(
            "service:greeter",
            "example",
            "oneiric_example.greeter:Greeter",
            settings_model="oneiric_example.greeter:GreeterSettings",
            requires={"cache": "adapter:cache"},
        )
    ]
)

TASKS = Plugin([Candidate("task:word-count", "example", "oneiric_example.word_count:WordCount")])
