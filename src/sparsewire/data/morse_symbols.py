"""The code book of the Morse data: which 64 symbols there are, and the dots and dashes of each."""

from collections.abc import Mapping
from types import MappingProxyType

_LETTERS = {
    "A": ".-", "B": "-...", "C": "-.-.", "D": "-..", "E": ".", "F": "..-.", "G": "--.", "H": "....", "I": "..",
    "J": ".---", "K": "-.-", "L": ".-..", "M": "--", "N": "-.", "O": "---", "P": ".--.", "Q": "--.-", "R": ".-.",
    "S": "...", "T": "-", "U": "..-", "V": "...-", "W": ".--", "X": "-..-", "Y": "-.--", "Z": "--..",
}  # fmt: skip
_DIGITS = {
    "0": "-----", "1": ".----", "2": "..---", "3": "...--", "4": "....-",
    "5": ".....", "6": "-....", "7": "--...", "8": "---..", "9": "----.",
}  # fmt: skip
_MARKS = {
    ".": ".-.-.-", ",": "--..--", "?": "..--..", "'": ".----.", "!": "-.-.--", ")": "-.--.-", ":": "---...",
    ";": "-.-.-.", "-": "-....-", "_": "..--.-", '"': ".-..-.", "@": ".--.-.",
    "/": "-..-.", "(": "-.--.", "&": ".-...", "=": "-...-", "+": ".-.-.",
}  # fmt: skip
_ACCENTED = {
    "Ä": ".-.-", "Ö": "---.", "Ü": "..--", "Š": "----",
    "À": ".--.-", "É": "..-..", "È": ".-..-", "Ĝ": "--.-.", "Ĥ": "-.--.", "Ĵ": ".---.", "Ñ": "--.--",
}  # fmt: skip

# In the order of the classes: label 0 is A. "(" and Ĥ have the same code, as in the paper's data.
MORSE: Mapping[str, str] = MappingProxyType(_LETTERS | _DIGITS | _MARKS | _ACCENTED)
SYMBOLS: tuple[str, ...] = tuple(MORSE)
CLASSES = len(MORSE)
# What a classifier can reach on equally many frames of each class: between the two twins it can only guess.
BEST_ACCURACY = len(set(MORSE.values())) / CLASSES
