"""What people take for a password when nobody stops them; our own short list, lower case."""

from __future__ import annotations

from typing import Final

# Rows and columns of keyboards, the alphabet, the digits: walked in either direction.
ROWS: Final = (
    "01234567890",
    "abcdefghijklmnopqrstuvwxyz",
    "qwertyuiop",
    "asdfghjkl",
    "zxcvbnm",
    "qwertzuiop",
    "yxcvbnm",
    "azertyuiop",
    "qsdfghjklm",
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm",
    "1q2w3e4r5t6y7u8i9o0p",
    "!@#$%^&*()",
)

# Words that, with digits and signs around them, make most of the passwords that leak.
WORDS: Final = frozenset(
    """
    abc access account admin administrator adminadmin alpha angel apple april asdf august autumn azerty baby backup banana
    baseball basketball batman beautiful berlin blue butterfly calvin changeme changeit charlie cheese chelsea chocolate
    christmas coffee company computer cookie customer dallas daniel database december default demo dragon enter entry
    facebook family february flower football forever freedom friday friend friends fuckyou galaxy gallery george ginger
    google green guest hallo hannah happy hello hockey home hottie house iloveyou image images internet inventory invoice
    isthis january jennifer jessica jesus jordan july june justin killer king letmein liverpool login london lovely love
    loveme lover madrid manager march master matrix maverick may me merlin michael michelle mickey monday monkey mother
    mustang my mynoob naruto new newyork nicole november october office oracle orange paris pass passw passwd passwort
    password passwords pepper phone photo photos picture pictures please pokemon portal princess private product purple
    qazwsx qwer qwert qwerty qwertz queen rainbow red root samsung saturday secret secure security september server
    shadow shop silver simple smile snoopy soccer spider spiderman spring star starwars store summer sunday sunflower
    sunshine super superman superuser support sweet sysadmin system tennis test tester testing the thomas thursday
    tigger tiger today trustno tuesday tweety unknown user username vacation wednesday welcome welcometo whatever white
    william willkommen winter wizard wordpass work yellow you your zxcvbn is this correct mine our not a one two three
    four five six seven eight nine ten i can use it for to in now only
    """.split()
)

# At least twelve characters without their spaces, and not caught by the rules for words, rows and repetitions.
COMMON: Final = frozenset(
    """
    thisismypassword correcthorsebatterystaple correct-horse-battery-staple correct_horse_battery_staple
    correct.horse.battery.staple trustno1trustno1 abcd1234abcd 1a2b3c4d5e6f a1b2c3d4e5f6 q1w2e3r4t5y6 qweasdzxc123
    qweasdzxcqweasd qazwsxedcrfv qazwsxedc123 zaq12wsxcde3 zaq1zaq1zaq1 1qazxsw23edc !qaz2wsx3edc 1qaz@wsx3edc
    1qaz!qaz1qaz p4ssw0rdp4ssw0rd passw0rd!234 147258369147 123698745123 159753159753 159357159357 741852963741
    789456123789 321654987321 963852741963 102030405060 112233445566 121212121212 123123123123 11223344556677
    314159265358 31415926535897 3.1415926535 271828182845 2718281828459 161803398874 ncc-1701-ncc-1701 ncc1701ncc1701
    loremipsumdolor loremipsumdolorsit loremipsumdolorsitamet helloworld123 hello,world! foobarbazqux foobarfoobar
    foobarbaz123 deadbeefcafe deadbeefdeadbeef cafebabecafe 0xdeadbeefcafe mypasswordis thepassword1 nopassword123
    nopasswordhere donotenter123 dontforget123 ihatepasswords ihateyou1234 fuckoff12345 fuckyouasshole maryhadalittlelamb
    tobeornottobe tobeornottobethatisthequestion maytheforcebewithyou theforceawakens iamyourfather winteriscoming
    livelongandprosper onceuponatime happybirthday happynewyear merrychristmas merryxmas2025 goodmorning1 goodmorning123
    goodnight1234 thequickbrownfox quickbrownfox quickbrownfoxjumps lazydogjumped supercalifragilistic
    supercalifragilisticexpialidocious jesuschrist1 jesussaves123 praisethelord godisgreat123 insha'allah123
    alhamdulillah bismillah123 mashallah123 barcelona123 realmadrid123 manchester123 manchesterunited liverpoolfc1
    arsenalfc123 chelseafc123 juventus1897 bayernmunich fcbayern1900 newcastle123 dortmund1909 galatasaray1905
    fenerbahce1907 besiktas1903 harrypotter1 hogwarts1234 gryffindor123 slytherin123 expelliarmus1 pikachu12345
    charizard123 minecraft123 fortnite1234 leagueoflegends counterstrike playstation1 playstation4 playstation5
    nintendo1234 xbox360xbox360 windows12345 microsoft123 macintosh123 raspberrypi1 linux1234567 ubuntu123456 debian123456
    postgres1234 postgresql123 mysqlmysql12 mariadb12345 mongodb12345 redis1234567 docker123456 kubernetes123 jenkins12345
    vagrant12345 ansible12345 terraform123 cisco1234567 netgear12345 linksys12345 dlink1234567 alexander123 alexandra123
    anthony12345 benjamin1234 brandon12345 brittany1234 cameron12345 caroline1234 catherine123 charlotte123 christian123
    christina123 christopher1 elizabeth123 francesca123 frederick123 gabriella123 giovanni1234 isabella1234 jacqueline12
    jonathan1234 josephine123 katherine123 kimberly1234 lawrence1234 leonardo1234 magdalena123 margarita123 maximilian12
    nathaniel123 nicholas1234 patricia1234 rebecca12345 samantha1234 sebastian123 stephanie123 theodore1234 valentina123
    valentine123 victoria1234 ichliebedich ichliebedich1 jetaime12345 tequieromucho teamomucho12 contraseña123
    contrasena123 motdepasse123 motdepasse1234 wachtwoord123 wachtwoord1234 salasana1234 heslo1234567 haslo1234567
    parola123456 senha1234567 lozinka12345 lösenord1234 passord12345 adgangskode1 jelszo123456 sifre1234567
    """.split()
)
