"""What addresses, names and pages are taken for."""

from __future__ import annotations

import pytest

from fleet.kit.addresses import MOST_LOOKED_AT, address_facts, addresses_in, site_of
from fleet.kit.names import names_company, same_company, same_person
from fleet.kit.people import merged

SITE = "https://www.northwind.example/team"
NONE = (False, False, False, False)


@pytest.mark.parametrize(
    ("address", "website", "facts"),
    [
        ("maya@northwind.example", SITE, (True, False, False, True)),
        ("Maya.Laurent+sales@Mail.Northwind.Example", SITE, (True, False, False, True)),
        ("info@northwind.example", SITE, (True, True, False, True)),
        ("maya@gmail.com", SITE, (True, False, True, False)),
        ('"maya laurent"@northwind.example', SITE, (True, False, False, True)),
        ("müller@bücher.de", "xn--bcher-kva.de", (True, False, False, True)),
        ("maya@xn--bcher-kva.de", "https://www.Bücher.de/", (True, False, False, True)),
        ("maya@acme.co.uk", "shop.acme.co.uk", (True, False, False, True)),
        ("maya@other.co.uk", "shop.acme.co.uk", (True, False, False, False)),
        ("maya@co.uk", "acme.co.uk", (True, False, False, False)),  # a suffix is nobody's
        ("maya@evilnorthwind.example", SITE, (True, False, False, False)),
        ("maya@northwind.example", "http://[::1", (True, False, False, False)),
        ("maya@n.example", "", (True, False, False, False)),
        ("maya..l@northwind.example", SITE, NONE),
        ("maya@localhost", SITE, NONE),
        ("maya@[10.0.0.1]", SITE, NONE),
        ("Maya <maya@northwind.example>", SITE, NONE),
        ("maya@northwind.example\nbcc: x@y.example", SITE, NONE),
        ("a" * 400 + "@northwind.example", SITE, NONE),
        ("not an address", SITE, NONE),
        ("", SITE, NONE),
    ],
)
def test_what_an_address_tells(address, website, facts):
    assert tuple(address_facts(address, website).values()) == facts


def test_addresses_in_a_text_are_found_as_they_stand_once():
    text = "Write to <maya@n.example>, (tomas.vik@n.example). mailto:info@n.example; maya@n.example! not@ nor @this"
    assert addresses_in(text) == ["maya@n.example", "tomas.vik@n.example", "info@n.example"]
    assert addresses_in("x" * 1_000_000 + "@" * 1_000_000) == []
    assert len(addresses_in(" ".join(f"a{n}@n.example" for n in range(1_000)))) == MOST_LOOKED_AT


@pytest.mark.parametrize("address", ["acme.example", "https://acme.example:8443/x?y", "www.acme.example.", "ACME.example"])  # fmt: skip
def test_site_is_the_registered_domain(address):
    assert site_of(address) == "acme.example"


@pytest.mark.parametrize("address", ["", "com", "localhost", "http://127.0.0.1/", "//", "http://[::1]/", "a" * 300 + ".com"])  # fmt: skip
def test_what_has_no_registered_domain(address):
    assert site_of(address) == ""


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("Northwind Robotics", "northwind robotics GmbH", True),
        ("Northwind Robotic", "Northwind Robotics, Inc.", True),
        ("Café Noir S.A.", "Cafe Noir", True),
        ("Müller & Söhne GmbH & Co. KG", "Mueller and Soehne", True),
        ("Siemens", "Siemens Energy", False),
        ("Deutsche Bank", "Deutsche Bahn", False),
        ("Acme", "Acne", False),
        ("SAP", "SAP SE", True),
        ("GmbH", "AG", False),
        ("", "", False),
        ("!!!", "???", False),
    ],
)
def test_similar_company_names(one, other, same):
    assert same_company(one, other) is same_company(other, one) is same


@pytest.mark.parametrize(
    ("text", "company", "named"),
    [
        ("She leads operations at Northwind Robotics.", "Northwind Robotics GmbH", True),
        ("She leads operations at Northwind Robotic.", "Northwind Robotics", True),
        ("He works for Northwind Airlines.", "Northwind Robotics", False),
        ("They sapped the wall.", "SAP", False),
        ("They run SAP.", "SAP SE", True),
        ("Nothing", "", False),
        ("", "Northwind", False),
    ],
)
def test_company_in_a_text(text, company, named):
    assert names_company(text, company) is named


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("Maya Laurent", "LAURENT, Maya", True),
        ("Dr. Maya Laurent", "Maya Laurent", True),
        ("Jürgen Groß", "Juergen Gross", True),
        ("Jan Meyer", "Jana Meyer", False),
        ("Maya Laurent", "Maja Laurent", False),
        ("Dr.", "Prof.", False),
    ],
)
def test_similar_names_of_people(one, other, same):
    assert same_person(one, other) is same_person(other, one) is same


def test_one_person_under_two_spellings_is_one():
    people = [
        {"name": "Maya Laurent", "role": "", "email": "maya@n.example"},
        {"name": "Maja Laurent", "role": "Head of Operations", "email": "MAYA@n.example"},
        {"name": "Laurent, Maya", "role": "CEO", "email": ""},
        {"name": "Maya Laurent", "role": "", "email": "another@n.example"},
    ]
    assert [(one["name"], one["role"], one["email"]) for one in merged(people)] == [
        ("Maya Laurent", "Head of Operations", "maya@n.example"),
        ("Maya Laurent", "", "another@n.example"),
    ]
