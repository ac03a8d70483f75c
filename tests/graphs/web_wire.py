"""Answers of Brave Search, the YouTube Data API and Ashby's job boards in their true shapes, cut to a few entries."""

from __future__ import annotations

from typing import Any


def brave(*results: tuple[str, str, str]) -> dict[str, Any]:
    """`results` are (title, url, description)."""
    return {
        "query": {
            "original": "q",
            "show_strict_warning": False,
            "is_navigational": False,
            "more_results_available": True,
        },
        "mixed": {
            "type": "mixed",
            "main": [{"type": "web", "index": 0, "all": False}],
            "top": [],
            "side": [],
        },
        "type": "search",
        "web": {
            "type": "search",
            "family_friendly": True,
            "results": [
                {
                    "title": title,
                    "url": url,
                    "is_source_local": False,
                    "is_source_both": False,
                    "description": description,
                    "language": "en",
                    "family_friendly": True,
                    "type": "search_result",
                    "subtype": "generic",
                    "meta_url": {
                        "scheme": "https",
                        "netloc": "n",
                        "hostname": "h",
                        "favicon": "f",
                        "path": "",
                    },
                    "extra_snippets": ["A second snippet."],
                }
                for title, url, description in results
            ],
        },
    }


YOUTUBE_SEARCH: dict[str, Any] = {
    "kind": "youtube#searchListResponse",
    "etag": "e",
    "nextPageToken": "CAIQAA",
    "regionCode": "FR",
    "pageInfo": {"totalResults": 2, "resultsPerPage": 2},
    "items": [
        {
            "kind": "youtube#searchResult",
            "etag": "a",
            "id": {"kind": "youtube#video", "videoId": "dQw4w9WgXcQ"},
            "snippet": {"title": "cut", "description": "cut …", "channelTitle": "Northwind Robotics"},
        }
    ],
}
YOUTUBE_VIDEOS: dict[str, Any] = {
    "kind": "youtube#videoListResponse",
    "etag": "e",
    "items": [
        {
            "kind": "youtube#video",
            "etag": "v",
            "id": "dQw4w9WgXcQ",
            "snippet": {
                "publishedAt": "2026-03-02T09:00:00Z",
                "channelId": "UC1",
                "title": "Agents in our warehouse &amp; what broke",
                "description": "Maya Laurent shows how LLM agents plan picks.",
                "thumbnails": {
                    "default": {"url": "https://i.ytimg.com/vi/x/default.jpg", "width": 120, "height": 90}
                },
                "channelTitle": "Northwind Robotics",
                "categoryId": "28",
                "liveBroadcastContent": "none",
            },
            "statistics": {
                "viewCount": "1842",
                "likeCount": "90",
                "favoriteCount": "0",
                "commentCount": "12",
            },
        }
    ],
    "pageInfo": {"totalResults": 1, "resultsPerPage": 1},
}


def job(title: str, **changes: Any) -> dict[str, Any]:
    return {
        "id": "8f0c2f2e-0000-4000-8000-000000000001",
        "title": title,
        "department": "Engineering",
        "team": "Platform",
        "employmentType": "FullTime",
        "location": "Lyon",
        "shouldDisplayCompensationOnJobPostings": True,
        "secondaryLocations": [
            {"location": "Berlin", "address": {"postalAddress": {"addressCountry": "Germany"}}}
        ],
        "publishedAt": "2026-03-01T10:00:00.000+00:00",
        "isListed": True,
        "isRemote": False,
        "workplaceType": "Hybrid",
        "address": {
            "postalAddress": {
                "addressRegion": "Auvergne-Rhône-Alpes",
                "addressCountry": "France",
                "addressLocality": "Lyon",
            }
        },
        "jobUrl": "https://jobs.ashbyhq.com/northwind/8f0c2f2e-0000-4000-8000-000000000001",
        "applyUrl": "https://jobs.ashbyhq.com/northwind/8f0c2f2e-0000-4000-8000-000000000001/application",
        "descriptionHtml": "<p>You build the planner.</p>",
        "descriptionPlain": "You build the planner in Python.",
        "compensation": {
            "compensationTierSummary": "€60K – €75K • Offers Equity",
            "scrapeableCompensationSalarySummary": "€60K - €75K",
            "compensationTiers": [],
            "summaryComponents": [],
        },
        **changes,
    }


def board(*jobs: dict[str, Any]) -> dict[str, Any]:
    return {"jobs": list(jobs), "apiVersion": "1"}
