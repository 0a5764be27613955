// Package postgres tests the store in PostgreSQL with a real server, which it starts for itself.
package postgres
