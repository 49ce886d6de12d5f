"""The short forms of a request, the same for every HTTP provider."""

from abc import abstractmethod
from typing import Unpack

from oneiric.ports.http import HTTPResponse, RequestOptions


class Verbs:
    """Give a client that has `request` its `get`, `post`, `put`, `patch`, `delete` and `head`."""

    @abstractmethod
    async def request(
        self, method: str, url: str, **options: Unpack[RequestOptions]
    ) -> HTTPResponse:
        """Send a request and return the whole answer, whatever its status."""

    async def get(self, url: str, **options: Unpack[RequestOptions]) -> HTTPResponse:
        """Send a GET request."""
        return await self.request("GET", url, **options)

    async def post(self, url: str, **options: Unpack[RequestOptions]) -> HTTPResponse:
        """Send a POST request."""
        return await self.request("POST", url, **options)

    async def put(self, url: str, **options: Unpack[RequestOptions]) -> HTTPResponse:
        """Send a PUT request."""
        return await self.request("PUT", url, **options)

    async def patch(self, url: str, **options: Unpack[RequestOptions]) -> HTTPResponse:
        """Send a PATCH request."""
        return await self.request("PATCH", url, **options)

    async def delete(self, url: str, **options: Unpack[RequestOptions]) -> HTTPResponse:
        """Send a DELETE request."""
        return await self.request("DELETE", url, **options)

    async def head(self, url: str, **options: Unpack[RequestOptions]) -> HTTPResponse:
        """Send a HEAD request."""
        return await self.request("HEAD", url, **options)
