"""Virtual-time set-ups in which the labs' checks drive a student's part.

exchange     one fetcher and one owner: REQUEST there, DATA back, over links with scripted faults
bottleneck   flows with the student's Controller, or with others, over one shared link
"""
