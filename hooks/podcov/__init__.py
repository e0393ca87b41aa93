"""podcov: which lines of your services did the integration tests really run?"""
