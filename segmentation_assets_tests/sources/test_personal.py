"""What looks personal, and what does not although it is named or written nearly so."""

import pytest

from segmentation_assets.sources.personal import found

PERSONAL = {
    "contact": ("a@b.de", "c@d.org", "e-mail addresses, by content"),
    "Telefonnummer": ("0171 2345678", "0049 30 123456", "phone numbers, by name and content"),
    "x": ("+49 171 2345678", "(020) 7946-0958", "phone numbers, by content"),
    "konto": ("DE89 3704 0044 0532 0130 00", "GB82WEST12345698765432", "IBANs, by content"),
    "Geburtsdatum": ("1980-02-03", "12.04.1971", "birth dates, by name and content"),
    "date de naissance": ("03/02/1980", "", "birth dates, by name and content"),
    "dob": ("1980", "1971", "birth dates, by name and content"),
    "Vorname": ("Ann", "Åsa-Lena", "names, by name and content"),
    "CustomerLastName": ("O\u2019Neil", "de Vries", "names, by name and content"),
    "name": ("Ann Smith", "李雷", "names, by name and content"),
    "Straße": ("Hauptstr. 5", "Am Markt 1", "postal addresses, by name and content"),
    "billing_address1": ("5 High St", "Flat 2, Mill Rd", "postal addresses, by name and content"),
    "indirizzo": ("Via Roma 1", "Corso Como 10", "postal addresses, by name and content"),
}
NOT_PERSONAL = {
    "product_name": ("Green tea", "Black tea"),
    "Lineitem name": ("Mug", "Cup"),
    "Name": ("#1001", "#1002"),  # of an order
    "nome": ("Gold", "Silver") * 20,
    "store_id": ("12", "13"),
    "store address": ("5 High St", "Flat 2, Mill Rd"),
    "address_id": ("17", "18"),
    "ip_address": ("10.0.0.1", "10.0.0.2"),
    "email opt-in": ("yes", "no"),
    "phone model": ("Galaxy 12", "Pixel 9"),
    "created_at": ("2024-01-01 10:00:00", "2024-01-02T11:00:00Z"),
    "amount": ("12.50", "1200000"),
    "number": ("1234567890", "4915112345678"),
    "order_no": ("112-3938474-4829021", "112-3938474-4829022"),
    "ean": ("4006381333931", "4006381333932"),
    "sku": ("GB82WEST12345698765433", "DE89 3704 0044 0532 0130 01"),  # an IBAN but for the check digits
    "birthplace": ("Ghent", "Bruges"),
    "gsm": ("80", "90"),  # weight of paper
    "city": ("Ghent", "Bruges"),
    "empty": ("", None),
}


@pytest.mark.parametrize("column", PERSONAL)
def test_personal_columns_are_told_by_name_and_content_in_several_languages(column: str) -> None:
    *cells, said = PERSONAL[column]
    assert {name: str(look) for name, look in found({column: cells}).items()} == {column: said}


@pytest.mark.parametrize("column", NOT_PERSONAL)
def test_products_stores_times_and_plain_numbers_are_not_personal(column: str) -> None:
    assert found({column: list(NOT_PERSONAL[column])}) == {}


def test_a_column_counts_if_most_of_its_cells_do() -> None:
    assert found({"x": ["a@b.de"] * 3 + ["none"]}) == {}
    assert set(found({"x": ["a@b.de"] * 4 + ["none"]})) == {"x"}
