// Package redis has tests of the store in Redis, against real servers: one alone, Sentinel, and a Cluster.
package redis
