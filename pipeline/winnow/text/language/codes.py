"""The languages that documents can be found to be written in, for messages about settings: loading the model to know
them would take longer than reading a config.
"""

import difflib

_NAMES = """
ace Acehnese; af Afrikaans; am Amharic; an Aragonese; ar Arabic; ary Moroccan Arabic; arz Egyptian Arabic; as Assamese;
az Azerbaijani; ba Bashkir; bcl Central Bikol; be Belarusian; bg Bulgarian; bn Bengali; br Breton; bs Bosnian;
ca Catalan; crh Crimean Tatar; cs Czech; cy Welsh; da Danish; de German; dz Dzongkha; el Greek; en English;
eo Esperanto; es Spanish; et Estonian; eu Basque; ext Extremaduran; fa Persian; fi Finnish; fo Faroese; fr French;
fuv Nigerian Fulfulde; fy Western Frisian; ga Irish; gcf Guadeloupean Creole; gcr Guianese Creole; gd Scottish Gaelic;
gl Galician; gom Goan Konkani; grc Ancient Greek; gu Gujarati; gug Paraguayan Guarani; guw Gun; ha Hausa;
hbo Ancient Hebrew; he Hebrew; hi Hindi; hr Croatian; ht Haitian Creole; hu Hungarian; hy Armenian; id Indonesian;
ig Igbo; is Icelandic; it Italian; ja Japanese; jv Javanese; ka Georgian; kab Kabyle; kik Kikuyu; kk Kazakh; km Khmer;
kn Kannada; ko Korean; ku Kurdish; ky Kyrgyz; la Latin; lb Luxembourgish; lg Ganda; lij Ligurian; ln Lingala; lo Lao;
lt Lithuanian; ltg Latgalian; lv Latvian; mg Malagasy; mk Macedonian; ml Malayalam; mn Mongolian; mr Marathi; ms Malay;
mt Maltese; my Burmese; ne Nepali; nl Dutch; nn Norwegian Nynorsk; no Norwegian; nso Northern Sotho; oc Occitan;
om Oromo; or Odia; pa Punjabi; pcm Nigerian Pidgin; pl Polish; ps Pashto; pt Portuguese; qu Quechua; ro Romanian;
ru Russian; rw Kinyarwanda; sa Sanskrit; sdh Southern Kurdish; se Northern Sami; si Sinhala; sk Slovak; sl Slovenian;
sn Shona; so Somali; sq Albanian; sr Serbian; st Southern Sotho; sv Swedish; sw Swahili; ta Tamil; te Telugu; tg Tajik;
th Thai; tk Turkmen; tl Tagalog; tr Turkish; tt Tatar; ug Uyghur; uk Ukrainian; ur Urdu; uz Uzbek; uzs Southern Uzbek;
vec Venetian; vi Vietnamese; vo Volapuk; wa Walloon; wuu Wu Chinese; xh Xhosa; yo Yoruba; yue Cantonese; zh Chinese;
zu Zulu; zxx no language
"""

LANGUAGES: dict[str, str] = {
    code: name for code, _, name in (entry.strip().partition(" ") for entry in _NAMES.split(";"))
}
"""Code -> English name, of every label of ``LanguageIdentifier``: ISO 639-1 where there is a code of two letters,
639-3 else."""


_ALIASES = """
af afr; am amh; ar ara arb; as asm; az aze azj azb; ba bak; be bel by; bg bul; bn ben bangla; br bre; bs bos; ca cat;
cs ces cze cz; cy cym wel; da dan dk; de deu ger; el ell gre gr; en eng; eo epo; es spa castilian; et est ekk;
eu eus baq; fa fas per pes prs farsi dari ir; fi fin; fo fao; fr fra fre; fy fry; ga gle; gd gla; gl glg; gu guj;
ha hau; he heb iw; hi hin; hr hrv; ht hat; hu hun; hy hye arm; id ind in; ig ibo; is isl ice; it ita; ja jpn jp;
jv jav jw; ka kat geo ge; kk kaz kz; km khm; kn kan; ko kor kr; ku kur kmr; ky kir kg; la lat; lb ltz; lg lug; ln lin;
lo lao; lt lit; lv lav lvs; mg mlg plt; mk mkd mac; ml mal; mn mon khk; mr mar; ms msa may zsm; mt mlt; my mya bur mm;
ne nep npi np; nl nld dut flemish; nn nno; no nor nb nob bokmal bokmål; oc oci; om orm; or ori ory; pa pan punjabi;
pl pol; ps pus pashtu; pt por; qu que; ro ron rum mo mol moldovan; ru rus; rw kin; sa san; se sme; si sin sinhalese;
sk slk slo; sl slv; sn sna; so som; sq sqi alb als; sr srp sh hbs serbo-croatian; st sot; sv swe; sw swa swh; ta tam;
te tel; tg tgk; th tha; tk tuk; tl tgl fil filipino; tr tur; tt tat; ug uig uyghur; uk ukr ua; ur urd; uz uzb uzn;
vi vie vn; vo vol; wa wln; xh xho; yo yor; yue cantonese; zh zho chi cmn cn mandarin hans hant tw; zu zul; zxx none
"""
"""Code -> what else people write for it: ISO 639-2 and 639-3, codes withdrawn or of countries, other names."""


def nearest_code(text: str) -> str | None:
    """The code that is probably meant: by a name, another code, or a tag such as ``en-US``; None is better than a
    code that merely looks alike."""
    plain = text.strip().lower()
    tag = plain.replace("_", "-").partition("-")[0]
    names = {name.lower(): code for code, name in LANGUAGES.items()}
    codes = names | {code: code for code in LANGUAGES}
    for code, *others in (entry.split() for entry in _ALIASES.split(";")):
        codes |= {other: code for other in others if code in LANGUAGES and other not in codes}
    if plain in codes or tag in codes:
        return codes.get(plain) or codes[tag]
    near = difflib.get_close_matches(plain, [*names, *(code for code in codes if len(code) > 4)], n=1, cutoff=0.7)
    return codes[near[0]] if near else None
