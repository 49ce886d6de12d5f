"""The manifest that a publisher starts from."""

TEMPLATE = """\
# A manifest: what you offer to those who trust your key. Change it, then:
#   oneiric manifest lint THIS-FILE
#   oneiric manifest sign --input THIS-FILE --key YOUR-KEY --output manifest.json
# Every field is told of in docs/reference/manifests.md. What begins with x- is your own.

schema: oneiric.manifest/2
name: {name}       # whoever trusts you asks for this name; it never changes
version: 1         # raise it with every change: who has seen 7 takes no other 7, and no 6
# issued: "2026-11-20T09:30:00Z"    # when packed, unless given
# expires: "2026-12-20T09:30:00Z"   # 30 days later, unless given or told by --expires-in
# stack: {name}    # the layer of all entries; the name of the manifest unless given
description: What this manifest is for.

entries:
  - domain: adapter              # adapter, service, task, event, workflow or action
    key: cache                   # the place to fill, adapter:cache
    provider: {name}             # who offers
    factory: oneiric.adapters.cache.memory:MemoryCache    # package.module:attribute
    capabilities: [ttl]          # what callers may need
    priority: 10                 # -1000 to 1000; the higher one serves
    version: "1.0"
    owner: platform-team         # who answers for it
    license: BSD-3-Clause        # as SPDX names it
    # python_version: ">=3.11"   # where it runs
    # os_platform: [linux, macos]
    # requires: {{store: "adapter:storage"}}    # what its factory gets
    # settings: {{max_items: 1000}}
    # artifact:                  # the wheel it is loaded from
    #   path: dist/acme-1.0-py3-none-any.whl    # read here when packed: digest and length
    #   uri: https://cdn.example.org/acme-1.0-py3-none-any.whl

  # - domain: event
  #   key: order-mail
  #   provider: {name}
  #   factory: acme.mail:OrderMail
  #   event_topics: ["order.*"]
  #   event_filters: [{{path: payload.region, any_of: [eu, us]}}]
  #   retry_policy: {{attempts: 3, base_delay: 0.5}}

  # - domain: workflow
  #   key: fulfilment
  #   provider: {name}
  #   factory: acme.plans:Fulfilment
  #   dag:
  #     nodes:
  #       - {{id: charge, task: charge}}
  #       - {{id: ship, task: ship, depends_on: [charge]}}
"""
