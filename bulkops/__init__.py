"""Bulk operations for the ElevenLabs Agents API."""
