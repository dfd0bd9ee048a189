"""The government and the authorised tier: what of the assembled tables each of them holds."""
