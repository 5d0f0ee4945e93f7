"""What the shop sells, in words: vegetables and fruits with their varieties, and the parts of all other names.

Every name here stands on a register tape, so none holds a tab, comma, semicolon, bar or double quote.
"""

from __future__ import annotations

from typing import NamedTuple


class Family(NamedTuple):
    """Vegetables or fruits of one sort: dollars a pound (or each), usual pounds (0: counted), and varieties."""

    name: str
    price: float
    pounds: float
    varieties: tuple[str, ...]


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split(", "))


def _family(name: str, price: float, pounds: float, varieties: str) -> Family:
    return Family(name, price, pounds, _words(varieties))


PRODUCE_FAMILIES = (
    _family("BANANA", 0.89, 1.4, "Cavendish, Red, Baby, Plantain"),
    _family(
        "APPLES",
        2.19,
        1.5,
        "Honeycrisp, Gala, Fuji, Braeburn, Granny Smith, Pink Lady, Haralson, Zestar, Jonagold, Cameo, McIntosh, "
        "Cortland, Ambrosia, Golden Delicious, SweeTango, Empire",
    ),
    _family("PEARS", 1.99, 1.3, "Bosc, Anjou Green, Anjou Red, Bartlett, Comice, Asian, Seckel"),
    _family("ORANGES", 1.39, 1.7, "Navel, Valencia, Blood, Cara Cara, Mandarin, Clementine, Satsuma, Minneola"),
    _family("CITRUS", 1.89, 0.7, "Lemon, Lime, Grapefruit Ruby, Grapefruit White, Meyer Lemon, Key Lime, Pummelo"),
    _family("AVOCADO", 1.69, 0, "Hass, Hass Large, Fuerte, Bacon"),
    _family("GRAPES", 3.29, 1.4, "Red Seedless, Green Seedless, Black Seedless, Concord, Thomcord"),
    _family("BERRIES", 3.99, 0, "Strawberry Pint, Blueberry Pint, Raspberry 6oz, Blackberry 6oz, Cranberry 12oz"),
    _family("STONE FRUIT", 2.79, 1.2, "Peach Yellow, Peach White, Nectarine, Plum Red, Plum Black, Apricot, Pluot"),
    _family("CHERRIES", 4.99, 0.9, "Bing, Rainier, Lapin"),
    _family("MELON", 0.99, 4.5, "Cantaloupe, Honeydew, Watermelon Seedless, Galia, Canary, Charentais"),
    _family("TROPICAL", 1.79, 0, "Mango Ataulfo, Mango Kent, Pineapple, Papaya, Kiwi Green, Kiwi Gold, Coconut Young"),
    _family("FRUIT", 2.49, 0, "Pomegranate, Persimmon Fuyu, Quince, Fig Black Mission, Starfruit, Dragon Fruit"),
    _family("TOMATOES", 2.89, 1.1, "Roma, On the Vine, Beefsteak, Heirloom Mix, Green Zebra, Brandywine, Early Girl"),
    _family("TOMATOES", 3.49, 0, "Cherry Pint, Grape Pint, Sungold Pint"),
    _family(
        "POTATOES", 1.19, 1.9, "Yukon Gold, Red, Russet, Fingerling, Purple, Yellow Finn, Kennebec, German Butterball"
    ),
    _family("SWEET POTATO", 1.49, 1.6, "Jewel, Garnet, Japanese, Hannah"),
    _family("ONIONS", 1.09, 1.3, "Yellow, Red, White, Sweet Walla Walla, Cipollini, Pearl"),
    _family("Onion", 1.29, 0, "Green Bunch, Spring Bunch, Ramps Bunch"),
    _family("Garlic", 5.99, 0.2, "White, Hardneck, Elephant"),
    _family("Shallot", 4.49, 0.3, "French, Banana"),
    _family("Leek", 2.49, 1.0, "Large, Baby"),
    _family("CARROTS", 1.29, 1.4, "Loose, Nantes, Rainbow, Juicing"),
    _family("CARROTS", 2.29, 0, "Bunch, Rainbow Bunch, Bag 2lb, Bag 5lb, Baby Bag 1lb"),
    _family("BROCCOLI", 2.49, 1.2, "Crown, Bunch Loose, Romanesco, Sprouting"),
    _family("Broccolini", 3.29, 0, "Bunch"),
    _family("Cauliflower", 2.69, 2.1, "White, Purple, Cheddar"),
    _family("CABBAGE", 0.99, 2.6, "Green, Red, Savoy, Napa, Pointed"),
    _family("Brussels Sprouts", 3.79, 0.9, "Loose, Stalk"),
    _family("CELERY", 1.79, 1.7, "Bunch, Hearts, Root"),
    _family("Lettuce", 2.49, 0, "Green Leaf, Red Leaf, Romaine, Butter, Iceberg, Little Gem, Oakleaf, Frisee"),
    _family("GREENS", 6.99, 0.4, "Salad Mix Loose, Spinach Baby Loose, Arugula Loose, Mizuna, Mesclun, Braising Mix"),
    _family("Kale", 2.49, 0, "Curly Green, Lacinato, Red Russian, Baby 5oz"),
    _family("Greens", 2.39, 0, "Collard, Mustard, Dandelion, Turnip, Beet, Chard Rainbow, Chard Red, Spinach Bunch"),
    _family("ASIAN GREENS", 1.99, 1.1, "Bok Choy, Baby Bok Choy, Tatsoi, Choy Sum, Gai Lan"),
    _family("PEPPERS", 3.69, 0.7, "Bell Green, Bell Red, Bell Yellow, Bell Orange, Poblano, Anaheim, Cubanelle"),
    _family("CHILES", 4.29, 0.2, "Jalapeno, Serrano, Habanero, Thai, Fresno, Hungarian Wax, Shishito"),
    _family("CUCUMBER", 1.49, 0, "Slicing, English, Lemon"),
    _family("CUCUMBER", 2.29, 0.9, "Pickling, Persian"),
    _family("SQUASH", 1.99, 1.1, "Zucchini Green, Zucchini Gold, Yellow Crookneck, Pattypan"),
    _family(
        "WINTER SQUASH", 1.19, 2.8, "Butternut, Acorn, Delicata, Kabocha, Spaghetti, Red Kuri, Carnival, Pie Pumpkin"
    ),
    _family("Eggplant", 2.49, 1.2, "Globe, Japanese, Italian, Fairy Tale"),
    _family("MUSHROOMS", 5.49, 0.4, "Crimini, White Button, Shiitake, Portabella, Oyster, Maitake, Chanterelle, Enoki"),
    _family("BEANS", 3.49, 0.7, "Green, Yellow Wax, Haricots Verts, Fava, Romano, Edamame"),
    _family("PEAS", 4.49, 0.6, "Snow, Sugar Snap, English"),
    _family("Sweet Corn", 0.69, 0, "Ear Bicolor, Ear White"),
    _family("BEETS", 1.69, 1.4, "Red Loose, Gold Loose, Chioggia Loose"),
    _family("BEETS", 2.79, 0, "Red Bunch, Gold Bunch"),
    _family(
        "ROOTS", 1.99, 1.0, "Parsnip, Turnip, Rutabaga, Daikon, Jicama, Sunchoke, Burdock, Celeriac, Watermelon Radish"
    ),
    _family("Radish", 1.79, 0, "Red Bunch, French Breakfast, Easter Egg"),
    _family("Ginger", 3.99, 0.3, "Root, Galangal, Turmeric Root"),
    _family(
        "HERBS", 1.99, 0, "Cilantro, Parsley Flat, Parsley Curly, Dill, Mint, Rosemary, Thyme, Sage, Chives, Oregano"
    ),
    _family("Basil", 19.99, 0.12, "Sweet Loose, Thai Loose"),
    _family("SPROUTS", 2.29, 0, "Alfalfa, Mung Bean, Sunflower, Broccoli, Pea Shoots"),
    _family("Asparagus", 3.99, 1.0, "Green, Purple, White"),
    _family("VEGETABLES", 2.99, 0.8, "Artichoke Baby, Okra, Fennel, Kohlrabi, Rhubarb, Tomatillo, Cactus Paddle"),
    _family("Artichoke", 2.49, 0, "Globe"),
    _family("TOFU & WRAPS", 2.69, 0, "Kimchi 15oz, Kraut 15oz, Egg Roll Wraps"),
)

#: Who makes packaged goods (all invented): as the tape shortens the name.
BRANDS = _words(
    "Alder, Birch, Brook, Cedar, Clover, Crane, Dale, Dawn, Dell, Eider, Elm, Fern, Field, Finch, Flint, Frost, "
    "Gale, Glen, Grove, Harbr, Hazel, Heath, Heron, Hill, Holly, Iris, Isle, Juniper, Kestr, Lark, Ledge, Linden, "
    "Maple, Marsh, Meadw, Mill, Moss, North, Oak, Orchd, Otter, Pine, Plum, Prair, Quail, Quill, Reed, Ridge, River, "
    "Robin, Rowan, Rye, Sedge, Shore, Sparr, Spruc, Stone, Swift, Tamar, Teal, Thist, Vine, Water, Willw, "
    "Wren, Yarrow, Yew"
)
FLAVOURS = _words(
    "Plain, Original, Vanilla, Maple, Honey, Cinnamon, Ginger, Lemon, Lime, Orange, Peach, Cherry, Blueberry, Raspbry, "
    "Strawbry, Cranberry, Apple, Coconut, Mango, Pumpkin, Almond, Cashew, Peanut, Walnut, Hazelnut, Sesame, Chocolate, "
    "Mocha, Mint, Lavender, Garlic, Basil, Tomato, Chili, Chipotle, Curry, Smoked, Roasted, Spicy, Sea Salt, "
    "Wild Rice, Red Pepper, Onion, Multigrain, Low Fat, Unsalted, Hearty, Rustic, Classic, Golden"
)


class Aisle(NamedTuple):
    """How the goods of one department are sold, priced and named.

    Attributes:
        department: its number.
        goods: how many it carries.
        share: items of a thousand that are sold in it.
        price: usual dollars, for one or for a pound.
        sold: ``each``; ``weighed`` at the register; ``labelled`` with weight and price when it was packed.
        pounds: usual weight, where sold by weight.
        taxed: share of its goods that bear sales tax.
        words: what the goods are.
        sizes: what packages hold; one empty size where there are no packages.
    """

    department: int
    goods: int
    share: int
    price: float
    sold: str
    pounds: float
    taxed: float
    words: tuple[str, ...]
    sizes: tuple[str, ...] = ("",)


#: Items of a thousand that are produce, which is named by its families above.
PRODUCE_SHARE = 247
# fmt: off
AISLES = (
    Aisle(1, 2200, 244, 3.49, "each", 0, 0.14, _words(
        "Soup, Pasta Sauce, Crackers, Granola, Cereal, Salsa, Black Beans, Chickpeas, Olive Oil, Vinaigrette, Broth, "
        "Cookies, Fruit Bar, Corn Chips, Rice Cakes, Jam, Nut Butter, Tea, Coffee, Soda, Juice, Noodles, Mustard"),
        _words("5oz, 8oz, 9.5oz, 12oz, 14oz, 16oz, 24oz, 32oz, 6ct")),
    Aisle(3, 380, 42, 3.49, "weighed", 0.8, 0.03, _words(
        "SEEDS, NUTS, FLOUR, RICE, OATS, LENTILS, BEANS, TRAIL MIX, DRIED, GRAIN, PASTA, CEREAL")),
    Aisle(3, 60, 10, 8.49, "labelled", 0.25, 0, _words("Dried, Snack Mix, Candied")),
    Aisle(4, 900, 130, 3.29, "each", 0, 0, _words(
        "Yogurt, Milk, Butter, Eggs, Cheddar, Tofu, Tempeh, Hummus, Kefir, Cream, Soy Milk, Tortillas, Smoothie"),
        _words("6oz, 8oz, 14oz, 16oz, 32oz, 64oz, Dozen")),
    Aisle(5, 340, 29, 11.99, "labelled", 0.5, 0, _words(
        "Cheddar, Gouda, Brie, Feta, Swiss, Parmesan, Blue, Chevre, Asiago, Havarti")),
    Aisle(6, 700, 53, 4.29, "each", 0, 0.02, _words(
        "Pizza, Burrito, Waffles, Ice Cream, Sorbet, Peas, Veggie Burger, Berries, Pot Pie, Entree, Fries, Dumplings"),
        _words("8oz, 9oz, 10oz, 12oz, 16oz, Pint")),
    Aisle(7, 180, 9, 3.99, "each", 0, 0, _words("Bread, Bagels, Buns, Pita, Rolls, Rye, Sourdough, Muffins"),
        _words("12oz, 16oz, 20oz, 6ct")),
    Aisle(8, 130, 34, 4.49, "each", 0, 0.6, _words(
        "Muffin, Scone, Sandwich, Burrito, Wrap, Sushi, Cookie, Brownie, Pie Slice")),
    Aisle(8, 280, 40, 6.99, "labelled", 0.5, 0.7, _words(
        "Salad, Slaw, Pasta Salad, Chicken, Tofu Bake, Soup Hot, Enchilada, Dip, Rice Bowl")),
    Aisle(9, 350, 8, 5.49, "each", 0, 0.95, _words(
        "Dish Soap, Paper Towels, Laundry Soap, Foil, Sponge, Candle, Pet Food, Light Bulb, Trash Bags"),
        _words("1ct, 2ct, 6ct, 16oz, 32oz, 64oz")),
    Aisle(10, 800, 20, 14.99, "each", 0, 0.9, _words(
        "Vitamin C, Vitamin D, Multi, Fish Oil, Zinc, Echinacea, Probiotic, Calcium, Iron, Magnesium, Protein"),
        _words("30ct, 60ct, 90ct, 120ct, 4oz, 16oz")),
    Aisle(11, 900, 24, 7.49, "each", 0, 0.97, _words(
        "Shampoo, Conditioner, Bar Soap, Toothpaste, Lotion, Lip Balm, Deodorant, Sunscreen, Body Wash, Bath Salts"),
        _words("1oz, 3oz, 4.7oz, 8oz, 11oz, 16oz")),
    Aisle(12, 230, 10, 18.99, "weighed", 0.09, 0.05, _words(
        "Spice, Tea Loose, Herb Dried, Pepper, Powder, Leaf, Seed, Rub")),
    Aisle(13, 150, 42, 6.99, "labelled", 1.0, 0, _words(
        "Chicken Breast, Ground Beef, Bacon, Sausage, Pork Chop, Turkey, Lamb, Steak")),
    Aisle(14, 60, 18, 3.49, "each", 0, 0.98, _words("Latte, Juice, Smoothie, Tea Hot, Coffee Hot, Mocha, Shot"),
        _words("Small, Medium, Large")),
    Aisle(15, 120, 2, 12.99, "each", 0, 0.97, _words("Mug, Tote, Card, Scarf, Cutting Board, Basket, Book, Teapot")),
    Aisle(16, 60, 7, 12.99, "labelled", 0.7, 0, _words(
        "Salmon, Cod, Trout, Tilapia, Walleye, Shrimp, Scallops, Halibut")),
    Aisle(17, 120, 25, 3.49, "each", 0, 0.02, _words(
        "Baguette, Challah, Ciabatta, Loaf, Croissant, Danish, Cake, Tart, Focaccia")),
    Aisle(18, 60, 6, 8.99, "each", 0, 0.9, _words(
        "Tulips, Bouquet, Roses, Potted Herb, Orchid, Lilies, Sunflowers")),
)
# fmt: on
