"""The phrases by which the offline rules tell answers apart: regular expressions, tried from top to bottom.

What a machine sent comes before what a person says, and a refusal before a question.
"""

from __future__ import annotations

_MONTH = "(?:january|february|march|april|may|june|july|august|september|october|november|december|q[1-4])"
_LATER = f"(?:{_MONTH}|spring|summer|autumn|fall|winter|next (?:quarter|year|month))"

PHRASES: dict[str, tuple[str, ...]] = {
    "hard_bounce": (
        r"user unknown|unknown user|no such (?:user|recipient|mailbox)|does(?: not|n't) (?:exist|have an? .{0,40}account)",
        r"5\.1\.[0-9]|5\.4\.1|\b550\b|address (?:rejected|not found|couldn't be found)|recipient (?:address )?rejected",
        r"no longer (?:with|works? (?:at|for|here))|(?:has )?left the company",
        r"mailbox (?:is )?(?:disabled|unavailable)|account (?:has been )?(?:disabled|closed)|domain .{0,40}not found",
    ),
    "soft_bounce": (
        r"mailbox (?:is )?full|over ?quota|quota exceeded|out of storage|storage (?:space|limit)",
        r"delayed|temporar(?:y|ily)|try again|come back later|will be retried|(?:keep|continue) trying|timed out|deferred",
        r"\b4\.\d\.\d|\b(?:421|450|451|452)\b|greylist|not yet been delivered",
    ),
    "out_of_office": (
        r"out of (?:the )?office|\booo\b|auto(?:matic|mated)?[ -]?(?:reply|response)|automatische antwort|réponse automatique|respuesta automática",
        r"on (?:\w+ )?leave\b|on vacation|on (?:\w+ )?holidays?\b|my holidays|away (?:until|from (?:my|the) (?:desk|office))|travell?ing",
        r"limited access to e?-?mail|slow to respond|will (?:be back|return) on|back (?:on )?(?:monday|tuesday|wednesday|thursday|friday)|back in the office",
        r"nicht im büro|abwesen|im urlaub|absente? (?:du|jusqu)|en congé|fuera de la oficina|de vacaciones",
    ),
    "unsubscribe": (
        r"unsubscribe|\bopt(?:ed|ing)?[ -]?out|(?:remove|delete) (?:me|us|my|our|this)\b|take .{1,20} (?:off|out of)|^\W*stop\W*$",
        r"stop (?:e-?mailing|writing|contacting|sending|messaging|spamming)|(?:do not|don't|never) (?:contact|e-?mail|write|message)",
        r"no more e-?mails|leave me alone|never signed up|(?:is|as) spam\b|reported (?:you|this|it)",
        r"abmelden|keine weiteren|désabonn|désinscri|darme de baja",
    ),
    "referral": (
        r"(?:right|better|best|correct|wrong) (?:person|one|department|contact)|not (?:my area|my department|the one who)|the one to ask",
        r"(?:please |should |can |just |best to |want to )(?:contact|speak|talk|reach out|write|ask) (?:to |with )?(?!me\b|us\b|you\b|again\b|about\b)\w",
        r"(?:cc'?(?:ing|'?d)|copying|looping in) |(?:forward(?:ed|ing)|pass(?:ed|ing)) (?:this|it|your (?:note|mail|e-?mail|message))",
        r"(?:my|our) colleague|handled by|in charge of|responsible for|looks after|took over|\btry \S+@",
        r"wenden sie sich an|zuständig|adressez-vous|diríjase",
    ),
    "not_now": (
        r"not (?:right )?now|(?:bad|wrong) time|timing is (?:off|bad)|not the (?:right )?time|too (?:busy|early)|maybe later|circle back|revisit",
        r"next (?:quarter|year|spring|summer|autumn|fall|winter)|later (?:this|in the) (?:year|quarter)|few months|(?:coming|next) (?:\w+ )?months",
        r"no (?:budget|bandwidth|capacity)|not a priority|on hold|\bfrozen\b|\bfreeze\b|heads down",
        rf"(?:back|up|in|again|after|until|me)(?: to (?:me|us))? (?:in|after|once|the)?(?: the)? ?{_LATER}\b|follow up (?:once|after|in)|in (?:about )?\w+ (?:weeks|months)\b",
    ),
    "not_interested": (
        r"not interested|\bno,? thank|not (?:a|the right) (?:good )?fit|(?:we|i)(?:'ll| will) pass\b|(?:not|isn't|nothing) (?:something|looking|relevant|for (?:us|me)|what we)",
        r"already (?:have|use|using|work with|covered|happy)|happy with (?:what|our|the)|(?:tool|solution|vendor|partner|setup|something) in place",
        r"(?:do not|don't) (?:need|do cold|see)|no (?:need|use for)|in-?house|built (?:our own|this)|decided against",
        r"kein(?:en)? (?:interesse|bedarf)|pas intéress|no (?:me |nos )?interesa",
    ),
    "interested": (
        r"\binterested\b|(?:sounds|looks) (?:good|great|interesting|useful|like)|good timing|looking for (?:exactly|something like)|got my attention",
        r"(?:let's|let us|happy to|glad to|would love to|we could|can we|could we|be up for|shall we|want to)\b(?! know)",
        r"(?:book|schedule|set up|send (?:me|us|over)|grab) .{0,30}(?:call|meeting|time|slot|invite|invitation|calendar|demo|material|details)",
        r"tell me more|more (?:info|information|details)|(?:works|free|available) (?:for me|on|next|this|at|\w+day)|calendly|call me|my calendar",
        r"\byes\b|love to|why not|\bi'm in\b|\bdemo\b|\btrial\b|\bpilot\b|klingt gut|gerne|avec plaisir|(?<!no )me interesa",
    ),
    "question": (r"\?|how (?:much|does|do|long)|what (?:is|are|does)|pricing|price",),
}
