"""Small functions that dialects with account-style paths (`/Account/{auth_id}/…`) compose."""
