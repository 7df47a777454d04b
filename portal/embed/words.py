"""The words of a card in the languages that it speaks. What hosts say (names, attributes) stays as they say it."""

from __future__ import annotations

from typing import Final

from babel import Locale

_NAMES: Final[tuple[str, ...]] = (
    "invoice",
    "credit_note",
    "for_whom",
    "issued",
    "due",
    "reference",
    "item",
    "quantity",
    "each",
    "amount",
    "sum",
    "net",
    "tax",
    "discount",
    "to_pay",
    "credit",
    "pay_to",
    "terms",
    "no_picture",
    "see_all",
    "scan",
    "pictures",
    "more",
    "as_of",
    "sku",
    "number",
    "price",
    "stock",
    "customer",
    "yes",
    "no",
)
# One line a language, in the order above.
_TABLE: Final = {
    "en": "Invoice|Credit note|For|Issued|Due|Reference|Item|Quantity|Each|Amount|Sum|Net|Tax|Discount|To pay|Credit|Pay to|"
    "Terms|No picture|See every picture|Scan or open the gallery|Pictures|and {} more in the gallery|Pictures as of {}|SKU|"
    "Number|Price|In stock|Customer|Yes|No",
    "de": "Rechnung|Gutschrift|Für|Datum|Fällig|Referenz|Artikel|Menge|Einzelpreis|Betrag|Summe|Netto|Steuer|Rabatt|Zu zahlen|"
    "Guthaben|Zahlbar an|Bedingungen|Kein Bild|Alle Bilder|Code scannen oder Galerie öffnen|Bilder|und {} weitere in der Galerie|"
    "Bilder mit Stand vom {}|Artikelnummer|Nummer|Preis|Lagerbestand|Kunde|Ja|Nein",
    "nb": "Faktura|Kreditnota|Til|Utstedt|Forfall|Referanse|Vare|Antall|Pris|Beløp|Sum|Netto|Avgift|Rabatt|Å betale|Til gode|"
    "Betales til|Betingelser|Uten bilde|Se alle bildene|Skann eller åpne galleriet|Bilder|og {} til i galleriet|"
    "Bilder per {}|Varenummer|Nummer|Pris|På lager|Kunde|Ja|Nei",
    "sv": "Faktura|Kreditfaktura|Till|Utfärdad|Förfaller|Referens|Artikel|Antal|À-pris|Belopp|Summa|Netto|Moms|Rabatt|Att betala|"
    "Tillgodo|Betalas till|Villkor|Ingen bild|Se alla bilder|Skanna eller öppna galleriet|Bilder|och {} till i galleriet|"
    "Bilder per den {}|Artikelnummer|Nummer|Pris|I lager|Kund|Ja|Nej",
    "da": "Faktura|Kreditnota|Til|Udstedt|Forfalder|Reference|Vare|Antal|Stykpris|Beløb|Sum|Netto|Moms|Rabat|At betale|Til gode|"
    "Betales til|Betingelser|Intet billede|Se alle billeder|Scan eller åbn galleriet|Billeder|og {} mere i galleriet|"
    "Billeder pr. {}|Varenummer|Nummer|Pris|På lager|Kunde|Ja|Nej",
    "nl": "Factuur|Creditnota|Aan|Datum|Vervaldatum|Referentie|Artikel|Aantal|Prijs|Bedrag|Som|Netto|Belasting|Korting|"
    "Te betalen|Tegoed|Betalen aan|Voorwaarden|Geen foto|Alle foto’s|Scan of open de galerij|Foto’s|en nog {} in de galerij|"
    "Foto’s per {}|Artikelnummer|Nummer|Prijs|Op voorraad|Klant|Ja|Nee",
    "fr": "Facture|Avoir|Pour|Date|Échéance|Référence|Article|Quantité|Prix unitaire|Montant|Somme|Net|Taxes|Remise|À payer|"
    "Avoir|À verser à|Conditions|Sans photo|Toutes les photos|Scannez ou ouvrez la galerie|Photos|et {} de plus dans la galerie|"
    "Photos au {}|Référence article|Numéro|Prix|En stock|Client|Oui|Non",
    "es": "Factura|Nota de crédito|Para|Fecha|Vencimiento|Referencia|Artículo|Cantidad|Precio|Importe|Suma|Neto|Impuestos|"
    "Descuento|A pagar|A favor|Pagar a|Condiciones|Sin imagen|Todas las imágenes|Escanee o abra la galería|Imágenes|"
    "y {} más en la galería|Imágenes a {}|Código de artículo|Número|Precio|En stock|Cliente|Sí|No",
    "it": "Fattura|Nota di credito|Per|Data|Scadenza|Riferimento|Articolo|Quantità|Prezzo|Importo|Somma|Netto|Imposte|Sconto|"
    "Da pagare|A credito|Pagare a|Condizioni|Senza foto|Tutte le foto|Scansiona o apri la galleria|Foto|"
    "e altre {} nella galleria|Foto al {}|Codice articolo|Numero|Prezzo|Disponibilità|Cliente|Sì|No",
    "ja": "請求書|クレジットノート|宛先|発行日|支払期限|参照番号|品目|数量|単価|金額|合計|小計|税|割引|お支払い金額|返金額|"
    "振込先|支払条件|画像なし|すべての画像|コードを読み取るか、ギャラリーを開く|画像|ほか{}枚はギャラリーにあります|{}時点の画像|商品コード|番号|価格|在庫|お客様|はい|いいえ",
    "ar": "فاتورة|إشعار دائن|إلى|تاريخ الإصدار|تاريخ الاستحقاق|المرجع|الصنف|الكمية|سعر الوحدة|المبلغ|المجموع|الصافي|الضريبة|"
    "الخصم|المبلغ المستحق|رصيد دائن|الدفع إلى|الشروط|بلا صورة|كل الصور|امسح الرمز أو افتح المعرض|الصور|و{} أخرى في المعرض|"
    "الصور كما في {}|رمز الصنف|الرقم|السعر|المخزون|العميل|نعم|لا",
}
WORDS: Final[dict[str, dict[str, str]]] = {
    language: dict(zip(_NAMES, said.split("|"), strict=True)) for language, said in _TABLE.items()
}


def words_of(locale: Locale) -> tuple[str, str, dict[str, str]]:
    """`lang` and `dir` of the page, and its words: English where we do not speak the locale's language."""
    language = "nb" if locale.language in ("no", "nn") else locale.language
    if language not in WORDS:
        return "en", "ltr", WORDS["en"]
    tag = "-".join(filter(None, (locale.language, locale.script, locale.territory)))
    return tag, locale.text_direction, WORDS[language]
