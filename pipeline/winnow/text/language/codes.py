"""The languages that documents can be found to be written in, for messages about settings: loading the model to know
them would take longer than reading a config.
"""

import difflib
import re
from collections.abc import Sequence

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


_ISO = """
aa aar; ab abk; ae ave; af afr; ak aka; am amh; an arg; ar ara; as asm; av ava; ay aym; az aze; ba bak; be bel; bg bul;
bi bis; bm bam; bn ben; bo bod tib; br bre; bs bos; ca cat; ce che; ch cha; co cos; cr cre; cs ces cze; cu chu; cv chv;
cy cym wel; da dan; de deu ger; dv div; dz dzo; ee ewe; el ell gre; en eng; eo epo; es spa; et est; eu baq eus; fa fas
per; ff ful; fi fin; fj fij; fo fao; fr fra fre; fy fry; ga gle; gd gla; gl glg; gn grn; gu guj; gv glv; ha hau; he heb
iw; hi hin; ho hmo; hr hrv; ht hat; hu hun; hy arm hye; hz her; ia ina; id ind in; ie ile; ig ibo; ii iii; ik ipk; io
ido; is ice isl; it ita; iu iku; ja jpn; jv jav jw; ka geo kat; kg kon; kik ki; kj kua; kk kaz; kl kal; km khm; kn kan;
ko kor; kr kau; ks kas; ku kur; kv kom; kw cor; ky kir; la lat; lb ltz; lg lug; li lim; ln lin; lo lao; lt lit; lu lub;
lv lav; mg mlg; mh mah; mi mao mri; mk mac mkd; ml mal; mn mon; mr mar; ms may msa; mt mlt; my bur mya; na nau; nd nde;
ne nep; ng ndo; nl dut nld; nn nno; no nor nb nob; nr nbl; nv nav; ny nya; oc oci; oj oji; om orm; or ori; os oss; pa
pan; pi pli; pl pol; ps pus; pt por; qu que; rm roh; rn run; ro ron rum mo mol; ru rus; rw kin; sa san; sc srd; sd snd;
se sme; sg sag; sh hbs; si sin; sk slk slo; sl slv; sm smo; sn sna; so som; sq alb sqi; sr srp; ss ssw; st sot; su sun;
sv swe; sw swa; ta tam; te tel; tg tgk; th tha; ti tir; tk tuk; tl tgl; tn tsn; to ton; tr tur; ts tso; tt tat; tw twi;
ty tah; ug uig; uk ukr; ur urd; uz uzb; ve ven; vi vie; vo vol; wa wln; wo wol; xh xho; yi yid ji; yo yor; za zha; zh
chi zho; zu zul
"""
"""ISO 639-1 -> 639-2 and 639-3, and codes withdrawn, where two letters are what documents are said to be in."""
_MEMBERS = """
ar arb; ay ayr; az azj; et ekk; fa pes prs; ku kmr; lv lvs; mg plt; mn khk; ms zsm; ne npi; om gaz; or ory; ps pbt;
qu quy; sq als; sw swh; tl fil; uz uzn; yi ydd; zh cmn
"""
"""Code -> codes of the language that nearly all its text is in: of Arabic, Standard Arabic."""
_ALIASES = """
az azb; be by; bn bangla; cs cz; da dk; el gr; es castilian; fa farsi dari ir; ja jp; ka ge; kk kz; ko kr; ky kg; my
mm; ne np; nl flemish; no bokmal bokmål; pa punjabi; ps pashtu; ro moldovan; si sinhalese; sr sh hbs serbo-croatian; tl
filipino; ug uyghur; uk ua; vi vn; yue cantonese; zh cn mandarin hans hant tw; zxx none
"""
"""Code -> what else people write for it: codes of countries, other names."""
_MARKS = ("und", "unknown", "other", "none", "un")
"""What models call a text that they know no language of."""
NO_LANGUAGE = "zxx"
"""ISO 639's code of what is in no language."""
UNDETERMINED = "und"
"""ISO 639's code of what is in a language that is not known."""
_LABEL = re.compile(r"([A-Za-z]{2,3})(?:[-_][A-Za-z0-9_-]+)?")


def _others(table: str) -> list[tuple[str, str]]:
    entries = [entry.split() for entry in table.split(";")]
    return [(other, code) for code, *others in entries for other in others]


def nearest_code(text: str) -> str | None:
    """The code that is probably meant: by a name, another code, or a tag such as ``en-US``; None is better than a
    code that merely looks alike."""
    plain = text.strip().lower()
    tag = plain.replace("_", "-").partition("-")[0]
    names = {name.lower(): code for code, name in LANGUAGES.items()}
    codes = names | {code: code for code in LANGUAGES}
    for table in (_ALIASES, _ISO, _MEMBERS):
        codes |= {other: code for other, code in _others(table) if code in LANGUAGES and other not in codes}
    if plain in codes or tag in codes:
        return codes.get(plain) or codes[tag]
    near = difflib.get_close_matches(plain, [*names, *(code for code in codes if len(code) > 4)], n=1, cutoff=0.7)
    return codes[near[0]] if near else None


def codes_of_labels(labels: Sequence[str]) -> tuple[str, ...]:
    """The code of each label of a model (``__label__en``, ``__label__eng_Latn``, ``__label__zh-Hant``), as documents
    are said to be in it: ISO 639-1 where there is a code of two letters, 639-3 else. Scripts and regions fall away.

    Raises:
        ValueError: one is no code of a language; the model is of something else.
    """
    plain = [label.removeprefix("__label__") for label in labels]
    iso, members = dict(_others(_ISO)), dict(_others(_MEMBERS))
    two = {code for code in (*iso.values(), *LANGUAGES, "bh") if len(code) == 2}
    # Wikipedia's `als` is Alemannic; ISO's is the Albanian of `als_Latn`, or of a model that has no other.
    own = {"als"} if {"als", "sq"} <= set(plain) else set()
    found = []
    for label in plain:
        parts = _LABEL.fullmatch(label)
        code = parts[1].lower() if parts else ""
        if label.lower() in _MARKS or code == UNDETERMINED:
            found.append(UNDETERMINED)
            continue
        if label not in own and code not in LANGUAGES:
            code = iso.get(code) or members.get(code) or code
        if not code or (len(code) == 2 and code not in two):
            raise ValueError(f"label {label!r:.80} is no code of a language; expected such as en, eng or eng_Latn")
        found.append(code)
    return tuple(found)
