"""The steps by which the open rows of a batch, and why they were refused, are read: `taken` and `told`.

taken: the open rows, of records.refused. told: one row a reason, in the order of the row: row_id, source_file,
source_row, label, place, rule, element, source_column, note. words: rule, element, problem, remedy.
"""

from chengxin.engine.step import Schema, Step
from chengxin.records.quarantine import text_under

# A damaged row has no column: what was counted in it stands there. Of a code of wrong length, its length is told.
_NOTE = rf"""CASE WHEN rule LIKE 'row.%' THEN '：' || nullif(source_column, '')
    WHEN rule LIKE '%.length' THEN '，实为 ' || length(regexp_replace(
        try({text_under("source_column")}),
        '[\s''‘’`′—-]', '', 'g')) || ' 位' END"""


NO_ROW = Schema({"row_id": "BIGINT"})
CLOSED = Step(
    "closed",
    ("closed_by_hand", "mends", "again"),
    """SELECT * FROM closed_by_hand
        WHERE (batch_no, row_id) NOT IN (SELECT (batch_no, row_id) FROM mends)
        AND (batch_no, row_id) NOT IN (SELECT (batch_no, row_id) FROM again)""",
)
# note: what is known of this row beyond the words of the rule.
# That a required field is unusable, or no identifier valid, is left out where other reasons say why; a filler says why,
# but not that the field must be filled.
TOLD = Step(
    "told",
    ("taken",),
    f"""SELECT * EXCLUDE (n, of_row, of_element, raw, source_column),
            CASE WHEN rule LIKE 'row.%' THEN '' ELSE source_column END AS source_column,
            coalesce({_NOTE}, '') AS note,
            row_number() OVER (PARTITION BY row_id ORDER BY n) AS place
        FROM (SELECT *, count(*) OVER (PARTITION BY row_id) AS of_row,
                count(*) FILTER (NOT (rule LIKE '%.placeholder' OR rule LIKE '%.masked'))
                    OVER (PARTITION BY row_id, element) AS of_element
            FROM (SELECT row_id, source_file, source_row, label, raw, unnest(range(len(reasons))) AS n,
                    unnest(reasons, recursive := true) FROM taken))
        WHERE NOT (rule = 'field.required_unusable' AND of_element > 1)
        AND NOT (rule = 'subject.identifiers_invalid' AND of_row > 1)""",
)
_NUMBERED = "CASE WHEN of_row > 1 THEN '（' || place || '）' ELSE '' END"
#: The start of a query: by_row, what is told of each row, joined.
BY_ROW = f"""WITH told_in_words AS (
        SELECT *, count(*) OVER (PARTITION BY row_id) AS of_row,
            row_number() OVER (PARTITION BY row_id, source_column ORDER BY place) AS seen
        FROM told JOIN words USING (rule, element)),
    by_row AS (
        SELECT row_id,
            string_agg(source_column, '、' ORDER BY place)
                FILTER (seen = 1 AND source_column <> '') AS fields,
            string_agg({_NUMBERED} || problem || note, '；' ORDER BY place) AS problem,
            string_agg({_NUMBERED} || remedy, '；' ORDER BY place) AS remedy,
            string_agg(rule, ' ' ORDER BY place) AS rules
        FROM told_in_words GROUP BY row_id)"""
EXPLAINED = Step(
    "explained",
    ("told", "words"),
    """SELECT source_file, source_row, label, source_column, rule, problem || note AS problem, remedy
        FROM told JOIN words USING (rule, element) ORDER BY row_id, place""",
)
EVERYTHING = f"""{BY_ROW}
    SELECT source_file, source_row, label, fields, problem, remedy, rules, b.name AS mended_by, c.told AS closed, raw
    FROM taken JOIN by_row USING (row_id)
    LEFT JOIN (SELECT row_id, mended_by AS n FROM mends WHERE batch_no = $batch) USING (row_id)
    LEFT JOIN batch_names b USING (n)
    LEFT JOIN (SELECT row_id, told FROM closed WHERE batch_no = $batch) c USING (row_id)
    ORDER BY row_id"""
HEADERS = Step(
    "headers",
    ("taken",),
    """SELECT header FROM (SELECT unnest(json_keys(raw)) AS header,
            unnest(range(len(json_keys(raw)))) AS place, row_id FROM taken WHERE NOT damaged)
        GROUP BY header ORDER BY min(place), min(row_id), header""",
)
