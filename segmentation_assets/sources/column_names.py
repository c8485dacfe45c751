"""Common column names in English, German, French, Spanish, Italian and Dutch, and the canonical column that a name suggests.

Names are compared without case, accents, spaces and signs: `Kunden-Nr.` is `kundennr`, `Prix unitaire` is `prixunitaire`.
"""

import re
import unicodedata
from collections.abc import Iterator

# Canonical column -> unambiguous names, and names that may mean something else too; likelier ones first.
ENGLISH: dict[str, tuple[str, str]] = {
    "customer_id": ("customerid custid clientid userid householdid memberid personid", "customer client user household buyer cust"),
    "ordered_at": (
        "orderdate invoicedate transactiontimestamp transactiondate purchasedate orderedat orderdatetime saledate datepurchased createdat "
        "created orderts ordertime placedat",
        "date timestamp datetime day time at ts",
    ),
    "amount": (
        "amount salesvalue totalprice linetotal dollarvalue revenue ordertotal grandtotal netsales totalpaid",
        "total sales value paid spend gross",
    ),
    "price": ("unitprice itemprice itemcost", "price"),
    "quantity": ("quantity qty units numberofcds itemssold", "count"),
    "order_id": (
        "orderid invoiceno basketid transactionid orderno ordernumber invoicenumber",
        "invoice order basket receipt",
    ),
    "product_id": ("productid stockcode sku itemid articleid", "product item"),
    "category": ("category department productgroup genre", ""),
    "discount": ("discount retaildisc rebate", ""),
    "consent": ("consent optin marketingconsent newsletter", ""),
    "event_type": ("eventtype eventname", "event action activity type kind what"),
    "subject": ("subject campaign coupon page", ""),
}
ABROAD: dict[str, tuple[str, str]] = {
    "customer_id": (
        "kundennummer kundennr kundenid kundeid kdnr kdnummer debitorennummer mitgliedsnummer "
        "numeroclient numerodeclient numclient noclient nclient idclient codeclient refclient "
        "idcliente clienteid numerocliente numerodecliente codigocliente codicecliente codcliente nrocliente "
        "klantnummer klantnr klantid klantcode",
        "kunde kunden kaufer kaeufer mitglied acheteur membre cliente klant koper",
    ),
    "ordered_at": (
        "bestelldatum rechnungsdatum kaufdatum auftragsdatum belegdatum transaktionsdatum verkaufsdatum buchungsdatum bestelltam "
        "datecommande datedecommande datedelacommande datefacture datedefacture datedelafacture dateachat datedachat datevente "
        "datedevente fechapedido fechadepedido fechadelpedido fechacompra fechadecompra fechafactura fechadefactura fechaventa "
        "fechadeventa dataordine datadordine datadellordine dataacquisto datadacquisto datafattura datavendita "
        "besteldatum orderdatum factuurdatum aankoopdatum verkoopdatum transactiedatum",
        "datum zeitpunkt zeitstempel tag zeit horodatage fecha data dia dag tijdstip",
    ),
    "amount": (
        "gesamtbetrag rechnungsbetrag zeilenbetrag gesamtpreis zeilensumme warenwert umsatz betrag "
        "montanttotal montantttc montantht prixtotal montant chiffredaffaires "
        "importetotal preciototal importe monto importototale prezzototale importo fatturato "
        "totaalbedrag totaalprijs bedrag omzet",
        "summe wert somme ventas totale",
    ),
    "price": (
        "einzelpreis stuckpreis stueckpreis verkaufspreis prixunitaire preciounitario prezzounitario stukprijs eenheidsprijs",
        "preis prix precio prezzo prijs",
    ),
    "quantity": (
        "menge anzahl stuckzahl stueckzahl quantite qte cantidad unidades quantita aantal hoeveelheid",
        "stuck stueck nombre pezzi stuks",
    ),
    "order_id": (
        "bestellnummer bestellnr bestellid auftragsnummer auftragsnr rechnungsnummer rechnungsnr belegnummer belegnr bonnummer "
        "numerocommande numerodecommande nocommande ncommande ndecommande idcommande numerofacture numerodefacture nofacture "
        "numeropedido numerodepedido idpedido numerofactura numerodefactura numeroordine idordine numerofattura "
        "ordernummer bestelnummer factuurnummer",
        "bestellung auftrag rechnung beleg commande facture panier pedido factura ordine fattura bestelling factuur",
    ),
    "product_id": (
        "artikelnummer artikelnr artikelid artikelcode artnr produktnummer produktnr produktid refarticle referencearticle codearticle "
        "refproduit codeproduit idproduit referenceproduit codigoproducto codigoarticulo idproducto idarticulo "
        "codiceprodotto codicearticolo idprodotto productcode productnummer",
        "artikel produkt article produit reference producto articulo prodotto articolo",
    ),
    "category": (
        "warengruppe produktgruppe artikelgruppe kategorie abteilung categorie rayon famille familia categoria departamento reparto "
        "famiglia productgroep artikelgroep afdeling",
        "sparte gamme seccion",
    ),
    "discount": ("rabatt rabattbetrag nachlass skonto remise descuento sconto korting", "reduction"),
    "consent": (
        "einwilligung werbeeinwilligung zustimmung werbeerlaubnis consentement consentimiento consenso toestemming akkoord",
        "",
    ),
    "event_type": (
        "ereignistyp ereignis typeevenement evenement tipoevento evento gebeurtenis",
        "aktion vorgang accion azione actie typ tipo",
    ),
    "subject": ("kampagne gutschein campagne campana campagna", "seite pagina"),
}
# Columns that identify a customer if there is no id, likelier ones first.
FOR_WANT_OF: dict[str, str] = {"customer_id": "email emailaddress mail correo courriel"}
# Words in a name that say that it is something else, such as the date of birth.
NOT: dict[str, str] = {
    "customer_id": "name nom prenom nombre apellido nome cognome naam vorname nachname kundenname customername clientname klantnaam "
    "firstname lastname city town state province region country zip postcode postal address street phone note notes message type "
    "group segment since status currency ip agent language tax count total amount discount reference service stadt ort land plz "
    "ville pays ciudad pais citta paese gruppe typ groupe grupo optin consent marketing newsletter score age",
    "ordered_at": "birth birthdate birthday update updated geburt naissance nacimiento nascita geboorte ship shipped shipping fulfilled "
    "delivery delivered cancelled canceled refund refunded expiry expires due modified last lastupdated deposit dispute arrival payout "
    "return returned zone timezone signup registered registration joined liefer lieferdatum livraison entrega consegna levering",
    "amount": "tax taxes vat mwst ust tva iva btw steuer discount discounts rabatt remise descuento sconto korting shipping versand "
    "livraison fee fees gebuhr tip tips refund refunded score age points punkte income limit balance weight gewicht cost margin "
    "currency cards quantity menge count orders items number status type",
    "price": "compare shipping tax gift designation point cost type discount",
    "quantity": "discount account country refunded shipped stock",
    "order_id": "date status total amount tax shipping discount refund currency note notes type source time value count items "
    "channel item line key datum statut estado",
    "product_id": "category group gruppe kategorie categorie famille familia categoria gruppo groep price cost preis prix quantity qty tax "
    "discount status sold count url type weight",
    "discount": "code name type reason",
}
# Words in a name that make another the likelier one.
LESS: dict[str, str] = {
    "amount": "subtotal sub net excl ex exc converted outstanding",
    "order_id": "merchant external parent reference customer",
    "ordered_at": "paid payment bezahlt paye",
    "customer_id": "to recipient seller shop",
}
WITHIN_ENGLISH, WITHIN_ABROAD, WITHIN_NOT = 4, 7, 5  # letters from which on a word also counts within a longer one


def rank(column: str, canonical: str) -> tuple[int, ...] | None:
    """How well a column's name fits a canonical column, less being better; None where it does not."""
    if says_other(column, canonical):
        return None
    bare, words = folded(column)
    fits = [
        (tier, abroad, position, bare != word) for tier, abroad, position, word in _hints(canonical) if _says(word, bare, words, abroad)
    ]
    less = any(other in words for other in LESS.get(canonical, "").split())
    return (less, *min(fits)) if fits else None


def is_for_want_of(column: str, canonical: str) -> bool:
    """Whether a column's name fits a canonical column only for want of another, as an e-mail address stands for an id."""
    fit = rank(column, canonical)
    return fit is not None and fit[1] == len(ENGLISH[canonical])


def says_other(column: str, canonical: str) -> bool:
    """Whether a column's name shows that it is not a canonical column."""
    bare, words = folded(column)
    return any(other in words or (len(other) >= WITHIN_NOT and other in bare) for other in NOT.get(canonical, "").split())


def _hints(canonical: str) -> Iterator[tuple[int, bool, int, str]]:
    for abroad, hints in ((False, ENGLISH), (True, ABROAD)):
        for tier, words in enumerate(hints[canonical]):
            for position, word in enumerate(words.split()):
                yield tier, abroad, position, word
    for position, word in enumerate(FOR_WANT_OF.get(canonical, "").split()):
        yield len(ENGLISH[canonical]), False, position, word


def _says(word: str, bare: str, words: set[str], abroad: bool) -> bool:
    return bare == word or word in words or (len(word) >= (WITHIN_ABROAD if abroad else WITHIN_ENGLISH) and word in bare)


def folded(column: str) -> tuple[str, set[str]]:
    """The name without case, accents and signs, and its words."""
    spaced = re.sub(r"(?<=[a-zà-ÿ])(?=[A-Z])", " ", column)
    plain = "".join(c for c in unicodedata.normalize("NFKD", spaced) if not unicodedata.combining(c)).casefold()
    words = re.findall(r"[a-z0-9]+", plain)
    return "".join(words), set(words)
