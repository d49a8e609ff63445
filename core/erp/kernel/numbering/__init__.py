"""Numbers that people read: CAPA-2026-0007. A series is declared once; its number is taken where the record is made."""
