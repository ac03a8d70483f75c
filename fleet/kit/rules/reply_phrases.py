"""The phrases by which the offline rules tell answers apart: regular expressions, tried from top to bottom.

What a machine sent comes before what a person says, and a refusal before a question. Each line of a kind is one way
of saying it, so that a new wording has a place: add a word to its line, not a line for the word.
"""

from __future__ import annotations

_MONTH = "(?:january|february|march|april|may|june|july|august|september|october|november|december|q[1-4])"
_LATER = (
    f"(?:{_MONTH}|spring|summer|autumn|fall|winter|next (?:quarter|year|month)|the new year|easter|christmas)"
)
_DAY = r"(?:(?:mon|tues|wednes|thurs|fri)day|tomorrow|(?:the )?\d{1,2}(?:st|nd|rd|th)?\b)"
_TEAM = r"(?:(?-i:IT|HR)|finance|legal|marketing|purchasing|procurement|operations|sales|accounting|head office|headquarters)"
_BOSS = r"(?:boss|manager|director|chief|head|ceo|cto|cfo|coo|vp|partner|assistant|deputy|successor|team lead|lead)"
_NOT = r"(?:can(?:no|')t|cannot|won't|will not|not able to|unable to|nothing|nobody|no one|not)"
_MAIL = r"(?:e-?mails?|mails?|messages?|letters?|correspondence|communications?|newsletters?|contact)"

PHRASES: dict[str, tuple[str, ...]] = {
    "hard_bounce": (
        # nobody there by that name
        r"(?:user|recipient|addressee|mailbox|account|address|person).{0,40}\b(?:unknown|not found|couldn't be found|invalid|does(?: not|n't) exist)",
        r"(?:unknown|no such|invalid|unrouteable|bad) (?:user|recipient|address(?:ee)?|mailbox|destination)|RecipientNotFound",
        r"does(?: not|n't) (?:exist|have an? .{0,40}account)|not (?:our customer|a(?:n employee| customer| member) of)",
        # refused for good, by code or by word
        r"5\.1\.\d+|5\.4\.1\b|\b55[01]\b|(?:rejected|refused|failed|error)\W+permanent|permanent(?:ly)? (?:rejected|refused|failure|error|failed)",
        r"(?:recipient )?address (?:rejected|not found)|recipient rejected",
        # there once, gone now
        r"no longer (?:with|works? (?:at|for|here)|employed|in use|valid|active|exists?|monitored)|(?:has )?left the (?:company|organi[sz]ation)",
        r"(?:address|mailbox|account|inbox) (?:is |has been |was )?(?:not in use|disabled|unavailable|deactivated|closed|retired|deleted|removed)",
        r"domain .{0,40}(?:not found|expired|no longer|has no mail)",
    ),
    "soft_bounce": (
        r"(?:mailbox|inbox) (?:is )?full|over ?quota|quota exceeded|(?:out of|insufficient|system) .{0,20}storage|storage (?:space|limit)",
        r"(?:maximum|size|connections?|rate) .{0,20}(?:limit|exceed\w*|reached)|(?:limit|size).{0,10}exceeded|reached its maximum",
        r"delay(?:ed)?\b|temporar(?:y|ily)|try(?:ing)? again|(?:come back|try) later|retr(?:y|ied)|(?:keep|continue) trying|next attempt|deferred|queue",
        r"timed? ?out|not (?:respond|answer)\w*|unreachable|(?:server|too) busy|too many|slow down|throttl\w*|connection .{0,40}refused|(?:dns|lookup) .{0,60}failed",
        r"\b4\.\d\.\d|\b4[2-5]\d\b|greylist|not yet been delivered|still undelivered|reputation|\bwarning\b|incomplete",
    ),
    "out_of_office": (
        # the machine says so
        r"out of (?:the )?office|\booo\b|auto(?:matic|mated)?[ -]?(?:reply|response|answer)|automatische antwort|réponse automatique|respuesta automática",
        r"nicht im büro|abwesen\w*|im urlaub|wieder (?:da|erreichbar|im büro|zurück)|^absence\b|absente? (?:du|jusqu)|en congé|de retour|fuera de la oficina|de vacaciones",
        # where someone is instead
        r"(?:on|annual|sick|parental|maternity|paternity|medical|unpaid) leave\b|on (?:a |my )?(?:vacation|sabbatical|business trip|honeymoon)|on (?:\w+ )?holidays?\b|my holidays",
        r"(?:bank|public|national) holiday|winter break|summer break|(?:at|attending) an? (?:\w+ )?(?:conference|trade (?:fair|show)|off-?site)|travell?ing|gone fishing",
        r"recovering from|in hospital|(?:offices?|we) (?:are|is) closed|we re-?open",
        r"away (?:until|from (?:my|the) (?:desk|office))|(?:in|during) my absence|(?:covers?|covering|stands? in) for me|while i(?:'m| am) away",
        # how it is while they are away, and when it ends
        r"limited access to e-?mail|slow to respond|(?:slow|delayed|late) (?:answer|reply|response)|normal service",
        rf"will (?:be back|return)\b|(?:be|am|i'm) (?:back (?:again|on|from)|in again)|(?<!me )(?<!us )(?<!you )(?<!write )back (?:on )?{_DAY}|back (?:in the office|at my desk)|in again {_DAY}",
    ),
    "unsubscribe": (
        # asks to be taken off
        r"unsubscribe|\bopt(?:ed|ing)?[ -]?out|^\W*(?:please )?stop\W*$|[.!?] +(?:stop|enough)\W*$|^\W*enough\b",
        r"(?:\b(?:remove|delete|erase|strike|scrub|purge|drop|cross)\b.{0,25}\b(?:off|out of|from)|\b(?:take|get)\b.{0,25}\b(?:off|out of)) .{0,20}(?:list|database|system|records|mailing|crm|it\b)",
        r"\b(?:remove|delete|erase|purge|forget|lose)\b (?:all |any |every )?(?:me|us|my|our|this|the)?\s?(?:\w+ )?(?:me|us|data|details|records?|address|number|contact|info\w*)\b",
        r"\b(?:remove|delete) (?:me|us)\b|\boff (?:this|your|the|that) (?:\w+ )?list",
        # forbids the next mail
        r"(?:stop|quit|cease|refrain from|desist from) (?:e-?mailing|writing|contacting|sending|messaging|spamming|bothering|pestering)",
        rf"(?:do not|don't|never) (?:contact|e-?mail|write|message|bother)|\bno (?:more|further) {_MAIL}|leave (?:me|us) alone|never signed up",
        # complains, or threatens to
        r"(?:is|as|of|hate) spam\b|spamm\w+|report(?:ed|ing)? (?:you|this|it)\b(?! to (?:my|our))|(?:inform|tell|complain to|complaint with) .{0,30}(?:authority|regulator|commissioner|lawyer)",
        r"data protection (?:authority|officer|law)|(?:withdraw|revoke|never gave|no) .{0,15}consent",
        r"abmelden|keine weiteren|aus (?:dem|ihrem) verteiler|désabonn|désinscri|darme de baja",
    ),
    "referral": (
        # not me
        r"(?:right|better|best|correct|wrong) (?:person|one|department|contact|team|address)|not (?:my (?:area|department|job|call|topic)|the one who)|the one to ask",
        r"i (?:have |'ve )?(?:moved|retired|changed|switched|stepped) (?:to|from|out|down|back|roles?|teams?).{0,60}(?:;|,|\.| and )",
        # ask that one
        r"(?:please |should |can |just |best to |want to )(?:contact|speak|talk|reach out|write|ask) (?:to |with )?(?!me\b|us\b|you\b|again\b|about\b)\w",
        rf"(?:talk|speak|write|turn|go) to {_TEAM}\b|\btry \S+@|(?:more luck|better off|better served) with",
        # it is theirs
        r"(?:handled|made|decided|bought|owned|run|managed|dealt with) (?:by|in|at) (?!me\b|us\b)|in charge of|responsible for|looks after|took over|takes care of",
        rf"\b{_TEAM} (?:\w+ )?(?:buys?|handles?|deals?|decides?|does|owns?|runs?|takes?|looks?)\b|they (?:buy|handle|decide|own|run|manage) ",
        rf"(?:my|our|his|her) (?:\w+ )?{_BOSS}\b.{{0,40}}(?:would|will|has|have|needs?|decides?|can|is the)\b|'s (?:call|decision|department|area|remit|job)\b",
        # and they know already
        r"(?:cc'?(?:ing|'?d)|copying|looping in|adding) (?!to\b|up\b|value)|(?:forward(?:ed|ing)|pass(?:ed|ing)) (?:this|it|your (?:note|mail|e-?mail|message))|(?:my|our) colleague",
        r"wenden sie sich an|zuständig|adressez-vous|diríjase",
    ),
    "not_now": (
        # the time is wrong
        r"not (?:right )?now|(?:bad|wrong) time|timing is (?:off|bad)|not the (?:right )?time|too (?:busy|early)|maybe later|circle back|revisit|at the earliest",
        r"(?:next|later this|end of (?:the|this)|in the new) (?:quarter|year|spring|summer|autumn|fall|winter)|mid-?year|later in the (?:year|quarter)|few months|(?:coming|next) (?:\w+ )?months",
        rf"{_NOT}\b.{{0,60}}\b(?:before|until|till|this side of)\b",
        # no room for it
        r"no (?:budget|bandwidth|capacity)|not a priority|on hold|\bfrozen\b|\bfreeze\b|heads down|swamped|snowed under|flat out|overloaded|stretched thin",
        r"\b(?:park(?:ing|ed)?|shelv(?:e|ing|ed)|postpon(?:e|ing|ed)) (?:this|it|that)|back ?burner|just (?:signed|renewed|bought|hired|been acquired)|(?:being|been) acquired|dust settles",
        # come back then
        rf"(?:back|up|in|again|after|until|me)(?: to (?:me|us))? (?:after|once|in|the)(?: the)? ?{_LATER}\b|(?:back|again|until|after|me) (?:the )?{_LATER}\b|follow up (?:once|after|in)|in (?:about )?\w+ (?:weeks|months)\b",
        r"(?:come|check|get|write|call|try|ping|talk|speak|remind|dig)\b.{0,30}\b(?:back|again|me|out)\b.{0,12}\b(?:when|once|after|as soon as)\b",
    ),
    "not_interested": (
        # says no
        r"not interested|\bno,? thank|\bbut no\b|^\W*(?:no|nope|nah|nein|non|never|pass|hard pass)\b[\s\W]*$|(?:hard|we|i)(?:'ll| will)? pass\b|not (?:a|the right) (?:good )?fit",
        r"(?:not|isn't|nothing) (?:something|looking|relevant|for (?:us|me)|what we)|of no (?:use|interest)",
        # has, or has decided
        r"already (?:have|use|using|work with|covered|happy)|happy with (?:what|our|the)|(?:tool|solution|vendor|partner|setup|something) in place|(?:stay|stick|staying|sticking|gone|went) with",
        r"(?:do not|don't) (?:need|do cold|sell|see)|no (?:need|use for)|in-?house|built (?:our own|this)|decided against|(?:closed|sold|gave up|shut) (?:down )?that|keep it (?:that way|as it is)",
        # does not believe it
        r"(?:doubt|fail to see|can't see|(?:don't|do not) think (?:it|this|that|we|there)|not convinced)|(?:not|none is|isn't|hardly) worth",
        r"kein(?:en)? (?:interesse|bedarf)|pas intéress|no (?:me |nos )?interesa",
    ),
    "interested": (
        r"\binterested\b|(?:sounds|looks) (?:good|great|interesting|useful|like)|good timing|looking for (?:exactly|something like)|(?:exactly|precisely) (?:this|that|what)|got my attention|\b(?:curious|keen|intrigued|listening)\b",
        r"(?:let's|let us|happy to|glad to|would love to|love to|shall we)\b(?! know)|(?:we could|can we|could we|be up for|want to) (?:\w+ )?(?:talk|meet|speak|chat|see|call|look|find|discuss|schedule)|be up for",
        r"(?:book|schedule|set up|send (?:me|us|over)|grab|put) .{0,30}(?:call|meeting|time|slot|invite|invitation|calendar|diary|demo|material|details)|put (?:me|us) down",
        r"tell me more|more (?:info|information|details)|(?:works|free|available) (?:for me|on|next|this|at|\w+day)|calendly|(?:call|ring|phone) me|my (?:calendar|number|mobile)",
        rf"(?:{_DAY}|mornings?|afternoons?) (?:at \d|is|are|works?|suits?)|next steps?|there is a fit|go (?:ahead|on)|(?:count me|we're|i'm) in\b|(?:walk|take) (?:us|me|our) .{{0,30}}through|(?:got|have) the budget",
        r"\byes\b|why not|\bdemo\b|\btrial\b|\bpilot\b|\d+ min(?:ute)?s\b|klingt gut|gerne|avec plaisir|(?<!no )me interesa",
    ),
    "question": (r"\?|how (?:much|does|do|long)|what (?:is|are|does)|pricing|price|^\W*(?:explain|clarify|tell me)\b",),
}  # fmt: skip
