"""Given networks trained again, longer and with several seeds."""
