"""Values of keys that something can be made of, and what must stand beside them.

``{folder}`` stands for a folder with a certificate, ``{upstream}`` for the URL of an
empty registry.
"""

from __future__ import annotations

from typing import Any


TLS = {"tls": {"certificate": "{folder}/cert.pem", "key": "{folder}/key.pem"}}

BESIDE: dict[str, dict[str, Any]] = {
    "storage.cache.blobdescriptorsize": {
        "storage": {"cache": {"blobdescriptor": "inmemory"}}
    },
    "redis": {
        "storage": {"cache": {"blobdescriptor": "redis"}},
        "redis": {"addrs": ["127.0.0.1:1"]},
    },
    "log.hooks[]": {
        "log": {
            "hooks": [
                {
                    "type": "mail",
                    "levels": ["error"],
                    "options": {
                        "smtp": {"addr": "127.0.0.1:1"},
                        "from": "me@example.com",
                        "to": ["you@example.com"],
                    },
                }
            ]
        }
    },
    "notifications": {
        "notifications": {"endpoints": [{"name": "e", "url": "http://127.0.0.1:1/"}]}
    },
    "proxy": {"proxy": {"remoteurl": "https://127.0.0.1:1"}},
    "health.storagedriver": {"health": {"storagedriver": {"enabled": True}}},
    "health.file[]": {"health": {"file": [{"file": "/nowhere"}]}},
    "health.http[]": {"health": {"http": [{"uri": "http://127.0.0.1:1/"}]}},
    "health.tcp[]": {"health": {"tcp": [{"addr": "127.0.0.1:1"}]}},
    "log.audit.pulls": {"log": {"audit": {"path": "{folder}/audit.log"}}},
    "log.accesslog.formatter": {"log": {"accesslog": {"disabled": False}}},
    "http.debug.prometheus": {
        "http": {"debug": {"addr": "127.0.0.1:0", "prometheus": {"enabled": True}}}
    },
    "storage.cache.options": {"storage": {"cache": {"blobdescriptor": "any"}}},
    "proxy.password": {"proxy": {"username": "me"}},
    "proxy.upstreams[].password": {"proxy": {"upstreams": [{"username": "me"}]}},
    "proxy.exec.lifetime": {"proxy": {"exec": {"command": "true"}}},
    "proxy.upstreams[].exec.lifetime": {
        "proxy": {"upstreams": [{"exec": {"command": "true"}}]}
    },
    "proxy.tls": {"proxy": TLS},
    "proxy.upstreams[].tls": {"proxy": {"upstreams": [TLS]}},
    "proxy.upstreams[]": {
        "proxy": {"upstreams": [{"prefix": "app", "remoteurl": "https://127.0.0.1:1"}]}
    },
    "proxy.prefetch[]": {"proxy": {"prefetch": [{"images": ["app/one:v1"]}]}},
    "validation.manifests.indexes.platformlist[]": {
        "validation": {"manifests": {"indexes": {"platforms": "list"}}}
    },
    "middleware.registry[]": {"middleware": {"registry": [{"name": "any"}]}},
    "middleware.repository[]": {"middleware": {"repository": [{"name": "any"}]}},
    "middleware.storage[]": {"middleware": {"storage": [{"name": "any"}]}},
    **{
        f"http.tls.{key}": {"http": TLS}
        for key in (
            "certificate",
            "key",
            "clientcas",
            "clientauth",
            "minimumtls",
            "ciphersuites",
        )
    },
    "http.http2": {"http": TLS},
    "http.tls.letsencrypt": {
        "http": {
            "tls": {
                "letsencrypt": {"cachefile": "{folder}/acme", "hosts": ["localhost"]}
            }
        }
    },
}
"""What makes a key matter, by the beginning of its name."""

BESIDE |= {
    "http.tls.clientauth": {
        "http": {"tls": TLS["tls"] | {"clientcas": ["{folder}/cert.pem"]}}
    },
    "proxy.staleifgone": {"proxy": {"remoteurl": "{upstream}"}},
    "proxy.upstreams[].staleifgone": {
        "proxy": {"upstreams": [{"remoteurl": "{upstream}"}]}
    },
}

USABLE: dict[str, Any] = {
    "log.hooks[].type": "mail",
    "log.hooks[].options.smtp.addr": "127.0.0.1:2",
    "storage.cache.blobdescriptor": "inmemory",
    "storage.cache.layerinfo": "inmemory",
    "middleware.registry[].name": "any",
    "middleware.repository[].name": "any",
    "middleware.storage[].name": "any",
    "http.net": "unix",
    "http.tls.certificate": "{folder}/cert.pem",
    "http.tls.key": "{folder}/key.pem",
    "http.tls.clientcas": ["{folder}/cert.pem"],
    "http.tls.letsencrypt.hosts": ["registry.example"],
    "http.tls.letsencrypt.directoryurl": "https://127.0.0.1:2/directory",
    "http.tls.ciphersuites": ["TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"],
    "http.debug.addr": "127.0.0.1:0",
    "http.debug.prometheus.path": "/elsewhere",
    "log.audit.path": "{folder}/audit.log",
    "notifications.outbox.path": "{folder}/outbox",
    "notifications.endpoints[].url": "http://127.0.0.1:2/",
    "redis.addrs": ["127.0.0.1:2"],
    "redis.protocol": 3,
    "redis.identitysuffix": "suffix",
    "redis.tls.certificate": "{folder}/cert.pem",
    "redis.tls.key": "{folder}/key.pem",
    "redis.tls.rootcas": ["{folder}/cert.pem"],
    "health.http[].uri": "http://127.0.0.1:2/",
    "health.tcp[].addr": "127.0.0.1:2",
    "proxy.remoteurl": "https://127.0.0.1:2",
    "proxy.prefetch[].images": ["app/two:v1"],
    "proxy.prefetch[].timetable": "0 3 * * *",
    "manifests.options": ["platforms"],
    **{
        f"proxy.{upstream}{key}": value
        for upstream in ("", "upstreams[].")
        for key, value in {
            "mirrors": ["https://127.0.0.1:3"],
            "tls.ca": "{folder}/cert.pem",
            "tls.certificate": "{folder}/cert.pem",
            "tls.key": "{folder}/key.pem",
            "exec.command": "true",
        }.items()
    },
    "proxy.upstreams[].remoteurl": "https://127.0.0.1:2",
    "proxy.upstreams[].prefix": "app/of",
}
"""Values that something can be made of, where just any will not do."""

ELSEWHERE = {
    "version": "the loader refuses any other",
}
"""Keys that nothing outside of the loader has to read, and why."""
