"""Planted semantic duplicates: short texts, each with a paraphrase by hand, some with translations, and each in formats
that rules make. All of it was written for this test."""

import html
import random
from collections.abc import Callable

import numpy as np
import pyarrow as pa

from winnow.select.vectors import stored_vectors, unit_rows

PAIRS = [
    (
        "The bakery on the corner opens at five in the morning. By seven most of the rye bread is gone, and the "
        "queue reaches the bus stop.",
        "At five o'clock in the morning the corner bakery unlocks its doors. People line up as far as the bus stop, "
        "and hardly any rye bread is left by seven.",
    ),
    (
        "Water expands when it freezes, which is why pipes in an unheated house can burst in winter. Draining them "
        "before the first frost prevents the damage.",
        "Because freezing water takes up more room, plumbing in a cold building may crack during the winter. You "
        "avoid this if you empty the pipes ahead of the first frost.",
    ),
    (
        "The committee voted eight to three to close the old bridge for repairs. Cars will have to take the northern "
        "road until spring.",
        "By eight votes against three, the committee decided that the old bridge be shut while it is repaired. Until "
        "spring, traffic must go by the road in the north.",
    ),
    (
        "To reset the router, hold the small button on its back for ten seconds until the light turns orange. All "
        "your settings will be lost.",
        "Press the little button at the rear of the router and keep it down ten seconds; once the lamp is orange, "
        "the router has been reset. Your configuration is erased by this.",
    ),
    (
        "My grandmother kept bees behind the barn for forty years. She never wore gloves and said the bees knew her.",
        "For four decades grandma had beehives at the back of the barn. She worked without gloves because, as she "
        "put it, her bees recognised her.",
    ),
    (
        "A binary search halves the remaining range at every step, so a sorted list of a million entries needs about "
        "twenty comparisons.",
        "Since each step of binary search throws away half of what is left, roughly twenty comparisons suffice for "
        "one million sorted items.",
    ),
    (
        "The museum's new wing shows ship models from the seventeenth century. Admission is free on the first Sunday "
        "of every month.",
        "Models of ships built in the 1600s are on display in the museum's recent extension. On each month's first "
        "Sunday visitors do not have to pay.",
    ),
    (
        "Heavy rain flooded the lower town on Tuesday night. Firefighters pumped out more than sixty cellars, and "
        "nobody was hurt.",
        "On Tuesday night the lower part of the town was under water after heavy rainfall. Nobody was injured; the "
        "fire brigade pumped over sixty basements dry.",
    ),
    (
        "Cut the onions finely and fry them in butter over low heat until they are golden. Then add the rice and "
        "stir until every grain shines.",
        "Finely chop the onions, let them turn golden in butter on a low flame, then put in the rice and keep "
        "stirring till all the grains are glossy.",
    ),
    (
        "The company lost a third of its customers after it doubled the price of the basic plan. Two months later it "
        "took the increase back.",
        "One in three customers left when the firm charged twice as much for its basic plan; after two months the "
        "price rise was withdrawn.",
    ),
    (
        "Swallows leave for Africa in September and return in April. They often find the very nest that they built "
        "the year before.",
        "In September the swallows fly to Africa, and in April they come back, frequently to the same nest they made "
        "in the previous year.",
    ),
    (
        "You may cancel this contract within fourteen days without giving a reason. Write to the address below; a "
        "postcard is enough.",
        "Within two weeks you can withdraw from the agreement and need not say why. A postcard sent to the address "
        "given below will do.",
    ),
    (
        "The moon moves away from the earth by almost four centimetres a year. Laser beams reflected from mirrors "
        "that astronauts left there measure it.",
        "Each year the distance between earth and moon grows by nearly four centimetres, as is measured with lasers "
        "and the reflectors astronauts put on the moon.",
    ),
    (
        "Her first novel sold only three hundred copies. The second one was translated into thirty languages and "
        "made her rich.",
        "Just three hundred people bought the first novel she wrote, but her second appeared in thirty languages and "
        "brought her wealth.",
    ),
    (
        "Before you climb the ladder, make sure that it stands on firm ground and that somebody holds it. Most falls "
        "happen from less than three metres.",
        "Check that the ladder has solid footing and is held by another person before going up. The majority of "
        "falls are from under three metres.",
    ),
    (
        "The patient complained of headaches and blurred sight. After the dose had been halved, both disappeared "
        "within a week.",
        "Headache and blurry vision troubled the patient; both were gone in less than a week once half the dose was "
        "given.",
    ),
    (
        "The ferry runs every twenty minutes in summer but only four times a day in winter. Bicycles travel free of "
        "charge.",
        "In the summer months there is a ferry three times an hour, in winter just four crossings a day; nothing is "
        "charged for bikes.",
    ),
    (
        "The function returns the largest value of the list, or nothing when the list is empty. It never changes the "
        "list itself.",
        "Given a list, this function yields its maximum, and for an empty list it yields nothing; the input list is "
        "left as it was.",
    ),
    (
        "Our school has replaced the asphalt yard with grass, trees and a pond. Teachers say that children are "
        "calmer after the break.",
        "Where the schoolyard was asphalt, there are now a pond, trees and grass. According to the teachers, pupils "
        "come back from the break in a calmer mood.",
    ),
    (
        "The king promised lower taxes and then waged three wars. When he died, the treasury was empty and the "
        "harvest had failed twice.",
        "Having promised to lower taxes, the king fought three wars; at his death there was no money left in the "
        "treasury, and two harvests had been lost.",
    ),
    (
        "Charge the battery fully before you use the drill for the first time. Never leave it on the charger for "
        "more than a day.",
        "Prior to first use of the drill its battery should be charged completely; do not keep it in the charger "
        "longer than twenty-four hours.",
    ),
    (
        "The goalkeeper saved two penalties, yet the team lost in extra time. It was their fifth defeat in a row.",
        "Although two penalty kicks were stopped by the keeper, the side was beaten after extra time, its fifth loss "
        "in succession.",
    ),
    (
        "Coral bleaches when the sea is too warm for several weeks. It can recover, but only if the heat does not "
        "come back soon.",
        "If ocean water stays too hot for weeks, corals turn white. They may get better again, provided that no new "
        "heat wave follows shortly.",
    ),
    (
        "Interest is added at the end of every quarter. If you close the account earlier, you receive the part that "
        "has accrued by then.",
        "Every three months the interest is credited; when an account is closed before that, the share accrued so "
        "far is paid out.",
    ),
    (
        "The old printer in the hall is for drafts only. Please send anything in colour to the machine on the second "
        "floor.",
        "Use the hall's old printer just for drafts; colour prints belong on the second-floor machine, please.",
    ),
    (
        "Two thirds of the voters stayed at home. The mayor was elected with fewer than nine thousand votes.",
        "Only a third of those entitled to vote turned out, and not even nine thousand votes were enough to make her "
        "mayor.",
    ),
    (
        "The trail begins behind the church and climbs through the oak forest to the ruins. Allow three hours and "
        "bring enough water.",
        "From behind the church the path goes uphill among oaks as far as the castle ruins; take plenty of water and "
        "reckon with three hours.",
    ),
    (
        "Copper conducts electricity almost as well as silver and costs a hundredth of it. Therefore nearly all "
        "cables are made of copper.",
        "Nearly every cable is copper, since it is close to silver in conductivity but a hundred times cheaper.",
    ),
    (
        "He learned to play the accordion from a neighbour who had been a sailor. At weddings he still plays the "
        "songs of the harbour.",
        "A neighbour, once a seaman, taught him the accordion, and harbour songs are what he plays at weddings to "
        "this day.",
    ),
    (
        "The servers were down for six hours because a certificate had expired. Reminders had gone to an employee "
        "who had left the company.",
        "An expired certificate caused an outage of six hours; the notices about it had been sent to somebody who no "
        "longer worked there.",
    ),
    (
        "Tomatoes should not be kept in the refrigerator. Cold destroys their taste, while they ripen further at "
        "room temperature.",
        "Do not put tomatoes in the fridge: at room temperature they go on ripening, and the cold takes away their "
        "flavour.",
    ),
    (
        "The painter worked on the altar for eleven years and was paid in wine and firewood. His name stands nowhere "
        "on it.",
        "Eleven years the artist spent on the altarpiece, for which he got firewood and wine; it does not carry his "
        "name anywhere.",
    ),
    (
        "Every line of the file holds one record with its fields separated by tabs. Lines that begin with a hash "
        "sign are comments.",
        "The file has one record a line, fields are divided by tab characters, and a line starting with # is a "
        "comment.",
    ),
    (
        "Trains between the two cities take four hours today. The new tunnel will cut this to two and a half, but "
        "not before 2034.",
        "At present the rail journey from one city to the other lasts four hours; from 2034 at the earliest, the "
        "tunnel being built will make it two and a half.",
    ),
    (
        "The doctor advised him to give up coffee for a month. He slept better, but his headaches became worse.",
        "On medical advice he drank no coffee for four weeks: his sleep improved while the headaches got worse.",
    ),
    (
        "Wolves returned to the valley after ninety years. Sheep farmers demand fences and dogs, paid for by the "
        "state.",
        "After an absence of nine decades there are wolves in the valley again, and shepherds want the government to "
        "pay for fencing and guard dogs.",
    ),
    (
        "The lecture explains why the sky is blue: air scatters short waves of light more than long ones. At sunset "
        "the way through the air is longer, so red is left.",
        "Why is the sky blue? Because short wavelengths are scattered more strongly by air, the lecturer says; in "
        "the evening light crosses more air, and what remains is red.",
    ),
    (
        "Rents in the old town have risen by half within five years. Many families have moved to villages along the "
        "railway.",
        "In only five years, living in the old town has become fifty per cent dearer for tenants, and numerous "
        "families now live in villages on the rail line.",
    ),
    (
        "The glacier above the village has lost half of its length since 1900. Where the ice used to be there is now "
        "a lake.",
        "Since 1900 the village's glacier has become only half as long, and a lake fills the place that the ice has "
        "left.",
    ),
    (
        "Fold the letter twice and put it into the blue envelope. It must reach the office by Friday noon.",
        "The letter has to be at the office no later than noon on Friday; fold it two times and use the blue envelope.",
    ),
]
"""(text, the same in other words)."""

TRANSLATIONS = {
    "German": [
        "Die Bäckerei an der Ecke öffnet um fünf Uhr morgens. Um sieben ist das meiste Roggenbrot weg, und die "
        "Schlange reicht bis zur Bushaltestelle.",
        "Wasser dehnt sich beim Gefrieren aus, deshalb können Rohre in einem ungeheizten Haus im Winter platzen. Wer "
        "sie vor dem ersten Frost entleert, verhindert den Schaden.",
        "Der Ausschuss stimmte mit acht zu drei dafür, die alte Brücke für Reparaturen zu sperren. Autos müssen bis "
        "zum Frühling die nördliche Straße nehmen.",
        "Um den Router zurückzusetzen, halten Sie den kleinen Knopf auf der Rückseite zehn Sekunden gedrückt, bis "
        "das Licht orange wird. Alle Einstellungen gehen verloren.",
        "Meine Großmutter hielt vierzig Jahre lang Bienen hinter der Scheune. Sie trug nie Handschuhe und sagte, die "
        "Bienen würden sie kennen.",
        "Eine binäre Suche halbiert den verbleibenden Bereich bei jedem Schritt, darum braucht eine sortierte Liste "
        "mit einer Million Einträgen etwa zwanzig Vergleiche.",
    ],
    "French": [
        "La boulangerie du coin ouvre à cinq heures du matin. À sept heures, presque tout le pain de seigle est "
        "parti, et la file va jusqu'à l'arrêt de bus.",
        "L'eau se dilate en gelant, c'est pourquoi les tuyaux d'une maison non chauffée peuvent éclater en hiver. "
        "Les vider avant le premier gel évite les dégâts.",
        "Le comité a voté par huit voix contre trois la fermeture du vieux pont pour travaux. Les voitures devront "
        "prendre la route du nord jusqu'au printemps.",
        "Pour réinitialiser le routeur, maintenez le petit bouton à l'arrière pendant dix secondes jusqu'à ce que le "
        "voyant devienne orange. Tous vos réglages seront perdus.",
        "Ma grand-mère a élevé des abeilles derrière la grange pendant quarante ans. Elle ne portait jamais de gants "
        "et disait que les abeilles la connaissaient.",
        "Une recherche dichotomique divise par deux l'intervalle restant à chaque étape, si bien qu'une liste triée "
        "d'un million d'éléments demande environ vingt comparaisons.",
    ],
}
"""Of the first texts, in order."""

FORMATS: dict[str, Callable[[str], str]] = {
    "upper case": str.upper,
    "Markdown": lambda text: (
        "# " + text.split()[1].title() + "\n\n" + "\n".join(f"- **{s.strip()}**" for s in text.split(". ")) + "\n"
    ),
    "HTML": lambda text: (
        '<div class="post"><h2>News</h2>\n'
        + "".join(f"<p>{html.escape(s.strip())}</p>\n" for s in text.split(". "))
        + "</div>"
    ),
    "boilerplate around": lambda text: (
        "Home | About | Contact | Subscribe to our newsletter\n\n" + text + "\n\nShare this page. All rights reserved."
    ),
    "hard line ends, no punctuation": lambda text: "\n".join(
        " ".join(words) for words in _sevens("".join(c for c in text if c.isalnum() or c == " ").split())
    ),
    "every twelfth letter gone": lambda text: "".join(c for n, c in enumerate(text) if n % 12 != 7),
}
"""What rules make of a text."""


def _sevens(words: list[str]) -> list[list[str]]:
    return [words[begin : begin + 7] for begin in range(0, len(words), 7)]


def planted(seed: int = 0) -> dict[str, list[tuple[int, str]]]:
    """By kind: (number of the text in PAIRS, what was made of it), in a drawn order."""
    kinds = {"paraphrase": [(n, pair[1]) for n, pair in enumerate(PAIRS)]}
    kinds |= {f"translation, {name}": list(enumerate(texts)) for name, texts in TRANSLATIONS.items()}
    kinds |= {name: [(n, make(pair[0])) for n, pair in enumerate(PAIRS)] for name, make in FORMATS.items()}
    rng = random.Random(seed)
    return {name: rng.sample(texts, len(texts)) for name, texts in kinds.items()}


def found_shares(encoder, epsilons: tuple[float, ...]) -> dict[str, list[float]]:
    """By kind, at each epsilon: share of the planted texts whose cosine with their original is at least 1 - epsilon;
    and under ``unrelated`` the share of originals with *another* original that near, which should be 0."""
    kinds = planted()
    texts = [pair[0] for pair in PAIRS] + [text for made in kinds.values() for _, text in made]
    vectors = unit_rows(stored_vectors(encoder.embed(encoder.prepare(pa.array(texts, pa.large_string())))))
    originals, at, shares = vectors[: len(PAIRS)], len(PAIRS), {}
    for name, made in kinds.items():
        of = np.array([n for n, _ in made])
        cosine = np.einsum("ij,ij->i", vectors[at : at + len(made)], originals[of])
        shares[name] = [float((cosine >= 1 - epsilon).mean()) for epsilon in epsilons]
        at += len(made)
    others = originals @ originals.T - 2 * np.eye(len(PAIRS))
    shares["unrelated"] = [float((others.max(axis=1) >= 1 - epsilon).mean()) for epsilon in epsilons]
    return shares
