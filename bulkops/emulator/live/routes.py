"""Which endpoint answers which method and path of the live API."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bulkops.emulator.routes import Endpoint, body, nothing
from bulkops.emulator.upload import read_upload

from . import agents, conversations, documents, indexes, testing, tools

if TYPE_CHECKING:
    from bulkops.emulator.routes import Routes

ROUTES: Routes = {
    "agents/create": {"POST": Endpoint("agent.create", agents.create, body)},
    "agents": {"GET": Endpoint("agent.list", agents.listing, nothing)},
    "agents/*": {
        "GET": Endpoint("agent.get", agents.get, nothing),
        "PATCH": Endpoint("agent.update", agents.update, body),
        "DELETE": Endpoint("agent.delete", agents.delete, nothing),
    },
    "agents/*/duplicate": {"POST": Endpoint("agent.duplicate", agents.duplicate, body)},
    "agents/*/simulate-conversation": {"POST": Endpoint("agent.simulate", testing.simulate, body)},
    "agents/*/run-tests": {"POST": Endpoint("test.run", testing.run, body)},
    "conversation/get-signed-url": {
        "GET": Endpoint("conversation.create", conversations.signed_url, nothing),
    },
    "conversation/token": {"GET": Endpoint("conversation.token", conversations.token, nothing)},
    "conversations": {"GET": Endpoint("conversation.list", conversations.listing, nothing)},
    "conversations/*": {
        "GET": Endpoint("conversation.get", conversations.get, nothing),
        "DELETE": Endpoint("conversation.delete", conversations.delete, nothing),
    },
    "conversations/*/audio": {"GET": Endpoint("conversation.audio", conversations.audio, nothing)},
    "knowledge-base": {"GET": Endpoint("document.list", documents.listing, nothing)},
    "knowledge-base/file": {"POST": Endpoint("document.upload", documents.create_file, read_upload)},
    "knowledge-base/text": {"POST": Endpoint("document.create_text", documents.create_text, body)},
    "knowledge-base/url": {"POST": Endpoint("document.create_url", documents.create_url, body)},
    "knowledge-base/folder": {"POST": Endpoint("folder.create", documents.create_folder, body)},
    "knowledge-base/bulk-delete": {"POST": Endpoint("document.bulk_delete", documents.bulk_delete, body)},
    "knowledge-base/rag-index": {
        "POST": Endpoint("document.index_batch", indexes.batch, body),
        "GET": Endpoint("document.index_quota", indexes.quota, nothing),
    },
    "knowledge-base/*": {
        "GET": Endpoint("document.get", documents.get, nothing),
        "PATCH": Endpoint("document.update", documents.update, body),
        "DELETE": Endpoint("document.delete", documents.delete, nothing),
    },
    "knowledge-base/*/content": {"GET": Endpoint("document.content", documents.content, nothing)},
    "knowledge-base/*/update-file": {
        "PATCH": Endpoint("document.update_file", documents.update_file, read_upload),
    },
    "knowledge-base/*/dependent-agents": {
        "GET": Endpoint("document.dependents", documents.dependents, nothing),
    },
    "knowledge-base/*/rag-index": {
        "POST": Endpoint("document.index", indexes.compute, body),
        "GET": Endpoint("document.index_status", indexes.listing, nothing),
    },
    "knowledge-base/*/rag-index/*": {"DELETE": Endpoint("document.index_delete", indexes.delete, nothing)},
    "tools": {
        "POST": Endpoint("tool.create", tools.create, body),
        "GET": Endpoint("tool.list", tools.listing, nothing),
    },
    "tools/*": {
        "GET": Endpoint("tool.get", tools.get, nothing),
        "PATCH": Endpoint("tool.update", tools.update, body),
        "DELETE": Endpoint("tool.delete", tools.delete, nothing),
    },
    "agent-testing/create": {"POST": Endpoint("test.create", testing.create, body)},
    "agent-testing": {"GET": Endpoint("test.list", testing.listing, nothing)},
    "agent-testing/*": {
        "GET": Endpoint("test.get", testing.get, nothing),
        "DELETE": Endpoint("test.delete", testing.delete, nothing),
    },
    "test-invocations/*": {"GET": Endpoint("test.poll", testing.poll, nothing)},
}
