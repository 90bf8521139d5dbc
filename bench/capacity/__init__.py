"""`make capacity`: what the API costs here, a simulation that is checked against it, and a plan from both."""
